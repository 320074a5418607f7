"""Files at the far end of a connection: staged, revealed, read by ranges."""
