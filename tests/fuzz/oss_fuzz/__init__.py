"""What OSS-Fuzz needs."""
