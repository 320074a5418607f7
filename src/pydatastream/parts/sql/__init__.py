"""SQL text as Polars expressions: grammar, values, functions, compiler."""
