"""Redis, as its source and its sink need it: one connection, its readers, its commands."""
