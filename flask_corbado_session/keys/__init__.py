"""Signing keys: where they come from, how they are stored and rotated."""
