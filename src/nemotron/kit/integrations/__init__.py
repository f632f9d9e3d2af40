"""Where other people's frameworks are spoken to; each has a module of its own, imported when it is used."""
