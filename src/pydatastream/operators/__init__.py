"""Operators: one kind of step each."""
