"""DuckDB: the same job as one query over the whole file, the practical limit of one machine."""

import os

import duckdb

duckdb.sql(
    f"""
    copy (
      select device_id, ts // 60000 as w, count(*) as n, avg(temperature) as mean,
             max(temperature) as hi
      from read_ndjson('{os.environ["BENCH_IN"]}') where temperature > 10 group by all
    ) to '{os.environ["BENCH_OUT"]}' (format json)
    """
)
