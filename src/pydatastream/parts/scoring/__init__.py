"""What detectors are built from: one kernel that keys, guards and remembers for all of them."""
