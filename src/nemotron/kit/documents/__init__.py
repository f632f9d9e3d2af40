"""What the store holds, as frozen values: no I/O here."""
