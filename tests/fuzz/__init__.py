"""Everything that parses what strangers send, fed with whatever. Nothing is imported here: atheris comes first."""
