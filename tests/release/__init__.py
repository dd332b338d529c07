"""What a release needs: ``make dist`` and ``make audit``."""
