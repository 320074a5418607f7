"""SSH sessions with pinned host keys."""
