"""Hostile bytes for every reader: ``python -m tests.fuzz --seconds 600 scanner``."""
