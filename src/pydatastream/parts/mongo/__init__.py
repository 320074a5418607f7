"""Documents and sessions of a MongoDB server."""
