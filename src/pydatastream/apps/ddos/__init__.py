"""Attacks on a network, as they happen: traffic made and sent, and what finds the attacks."""
