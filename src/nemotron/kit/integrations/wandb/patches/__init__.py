"""Changes to the W&B client while it runs, one file each: why, for which versions, and what retires it."""
