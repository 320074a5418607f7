"""Databases that speak SQL: what the source and the sink `sql` share."""
