"""What a session costs, as a ratio to the same view without one, measured in the same run."""
