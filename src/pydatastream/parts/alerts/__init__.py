"""What alerts are built from: runs of a condition, what happens in them, messages."""
