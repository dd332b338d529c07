"""Sharing three routes with single-page apps on another host (Fetch standard, CORS): exact origins, nothing else."""

from __future__ import annotations
