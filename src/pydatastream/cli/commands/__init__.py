"""One module per verb of `pds`."""
