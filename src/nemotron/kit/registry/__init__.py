"""Artifacts in a store: publishing, resolving, aliases, content. Knows no kind of artifact and no vendor."""
