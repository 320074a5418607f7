"""HTTP requests, and a small door that listens."""
