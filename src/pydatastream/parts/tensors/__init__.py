"""Arrays in files that any tool can read, and none runs."""
