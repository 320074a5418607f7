"""Engines: each runs a plan in its own way."""
