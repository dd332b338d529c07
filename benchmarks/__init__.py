"""Benchmarks: the cost of a session, as a ratio to the same view without one, measured in the same run."""
