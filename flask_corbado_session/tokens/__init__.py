"""The short session's JWT, the long session's token, and ids."""
