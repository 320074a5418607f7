"""Functions of your own: rows in, rows out."""

import polars as pl


def in_fahrenheit(rows: pl.DataFrame, digits: int = 2) -> pl.DataFrame:
    """Add the temperature in Fahrenheit; IN_FAHRENHEIT_DIGITS=0 changes the digits."""
    return rows.with_columns(fahrenheit=(pl.col("temperature") * 1.8 + 32).round(digits))
