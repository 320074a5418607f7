"""Flink SQL: Kafka -> filter -> one-minute windows by device -> Kafka, in streaming mode.

One SQL statement: no Python runs per row. The end of the bounded topic closes all windows.
"""

import os
from pathlib import Path

from pyflink.common import Configuration
from pyflink.table import EnvironmentSettings, TableEnvironment

BROKERS, IN, OUT = (os.environ[f"BENCH_{name}"] for name in ("BROKERS", "IN", "OUT"))
SETTINGS = {
    "pipeline.jars": Path(os.environ["BENCH_JARS"]).as_uri(),
    "parallelism.default": "2",
    "pipeline.object-reuse": "true",
    "table.local-time-zone": "UTC",
}

configuration = Configuration()
for key, value in SETTINGS.items():
    configuration.set_string(key, value)
settings = EnvironmentSettings.new_instance().in_streaming_mode()
tables = TableEnvironment.create(settings.with_configuration(configuration).build())

tables.execute_sql(f"""
    create table readings (
        device_id string, ts bigint, temperature double,
        seen as to_timestamp_ltz(ts, 3), watermark for seen as seen - interval '5' second
    ) with (
        'connector' = 'kafka', 'topic' = '{IN}', 'format' = 'json',
        'properties.bootstrap.servers' = '{BROKERS}',
        'properties.max.partition.fetch.bytes' = '{8 << 20}',
        'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset'
    )""")
tables.execute_sql(f"""
    create table windows (device_id string, w bigint, n bigint, mean double, hi double) with (
        'connector' = 'kafka', 'topic' = '{OUT}', 'properties.bootstrap.servers' = '{BROKERS}',
        'key.format' = 'raw', 'key.fields' = 'device_id', 'value.format' = 'json'
    )""")
tables.execute_sql("""
    insert into windows
    select device_id, unix_timestamp(cast(window_start as string)) / 60,
           count(*), avg(temperature), max(temperature)
    from tumble(table readings, descriptor(seen), interval '1' minute)
    where temperature > 10 group by device_id, window_start, window_end
    """).wait()
