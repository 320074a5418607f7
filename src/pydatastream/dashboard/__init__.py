"""A live page of what a pipeline has put out: bounded snapshots, never raw rows."""
