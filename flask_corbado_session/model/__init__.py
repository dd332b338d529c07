"""What everything speaks: values, settings, errors, signals, the clock. Imports nothing of ours."""
