"""Bytes to columns and back, record by record where one is bad."""
