"""Pages and API for operators."""
