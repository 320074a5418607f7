"""Local files: found, tailed, unpacked, cut into records, staged and revealed."""
