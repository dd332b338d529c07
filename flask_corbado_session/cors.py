"""Sharing three routes with single-page apps on another host (Fetch standard, CORS): exact origins, nothing else."""

from __future__ import annotations

from flask import Response, request

from .incoming import SHARED_ENDPOINTS

_MAX_AGE = 600


def share(origins: frozenset[str], response: Response) -> Response:
    """Let the page of an allowed origin read the answer; any other origin gets no header at all."""
    if request.endpoint not in SHARED_ENDPOINTS:
        return response
    response.vary.add("Origin")
    origin = request.headers.get("Origin")
    if origin in origins:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Credentials"] = "true"
        if request.method == "OPTIONS":
            response.headers["Access-Control-Allow-Methods"] = "GET, POST"
            response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
            response.headers["Access-Control-Max-Age"] = str(_MAX_AGE)
        else:
            response.headers["Access-Control-Expose-Headers"] = "Retry-After, WWW-Authenticate, Date"
    return response
