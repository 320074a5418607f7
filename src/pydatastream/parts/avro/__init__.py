"""Avro: types, records, blocks, and the schema registry."""
