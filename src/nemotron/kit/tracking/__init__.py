"""Trackers: who is told what was loaded and what was made."""
