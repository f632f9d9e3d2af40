"""Where bytes lie: one small protocol, one primitive, a backend a file."""
