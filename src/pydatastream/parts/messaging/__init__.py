"""What connectors that carry messages share."""
