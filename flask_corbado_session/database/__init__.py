"""The rows of sessions and devices, through SQLAlchemy Core on an engine of the library's own."""
