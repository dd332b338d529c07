"""``flask corbado-session``: the commands."""
