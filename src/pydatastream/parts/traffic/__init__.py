"""Network traffic: what kind of packets a record counts, and what an attack looks like."""
