"""Operators that learn while the stream goes by."""
