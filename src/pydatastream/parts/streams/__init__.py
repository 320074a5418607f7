"""Pipes, standard output, seeded random numbers."""
