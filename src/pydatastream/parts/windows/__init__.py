"""What windows are built from: keyed partial aggregates, panes, closing."""
