"""The commands of ``flask corbado-session``."""
