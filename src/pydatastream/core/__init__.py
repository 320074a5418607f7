"""The contracts that every room and every engine shares."""
