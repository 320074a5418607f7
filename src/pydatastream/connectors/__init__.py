"""Connectors: one service each, as a source, a sink, or both."""
