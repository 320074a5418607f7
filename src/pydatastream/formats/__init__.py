"""Formats: one way to write rows as bytes each."""
