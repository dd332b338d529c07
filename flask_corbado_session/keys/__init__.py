"""Signing keys: how they are derived or read, stored, found and rotated."""
