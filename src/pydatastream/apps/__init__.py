"""Whole systems, ready to run: a pipeline and what belongs to it."""
