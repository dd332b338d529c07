"""Whether a short session holds, with or without a database."""
