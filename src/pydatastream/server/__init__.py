"""What a running pipeline shows over HTTP."""
