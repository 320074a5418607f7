"""Kafka, as its source and its sink need it: the cluster, one consumer, messages as rows."""
