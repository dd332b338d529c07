"""The rules: how a session starts, is refreshed and ends. No Flask and no SQL in here."""
