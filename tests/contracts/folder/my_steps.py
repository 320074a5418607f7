"""Functions that examples of operators may name."""

from typing import Any


def my_function(rows: Any) -> Any:
    """Rows as they are, taken whole or one by one; 13 brings bad luck."""
    values = [rows["n"]] if isinstance(rows, dict) else rows["n"]
    if 13 in values:
        raise ValueError("n is 13")
    return rows
