"""Spark structured streaming: Kafka -> filter -> one-minute windows by device -> Kafka.

All there is in one micro-batch (trigger availableNow); update mode, since append mode would keep
the last windows back until later messages come. No Python runs per row.
"""

import os
import tempfile

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

BROKERS, IN, OUT = (os.environ[f"BENCH_{name}"] for name in ("BROKERS", "IN", "OUT"))
SETTINGS = {
    "spark.jars": os.environ["BENCH_JARS"],
    "spark.driver.memory": "2g",
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.streaming.noDataMicroBatches.enabled": "false",
}

builder = SparkSession.builder.master("local[2]").appName("kafka")
for key, value in SETTINGS.items():
    builder = builder.config(key, value)
spark = builder.getOrCreate()
spark.sparkContext.setLogLevel("ERROR")

messages = (
    spark.readStream.format("kafka")
    .option("kafka.bootstrap.servers", BROKERS)
    .option("kafka.max.partition.fetch.bytes", str(8 << 20))
    .option("subscribe", IN)
    .option("startingOffsets", "earliest")
    .load()
)
row = f.from_json(f.col("value").cast("string"), "device_id string, ts long, temperature double")
windows = (
    messages.select(row.alias("row"))
    .select("row.device_id", "row.temperature", f.timestamp_millis("row.ts").alias("time"))
    .where("temperature > 10")
    .withWatermark("time", "5 seconds")
    .groupBy(f.window("time", "1 minute"), "device_id")
    .agg(
        f.count("*").alias("n"),
        f.avg("temperature").alias("mean"),
        f.max("temperature").alias("hi"),
    )
)
minute = (f.unix_timestamp("window.start") / 60).cast("long").alias("w")
out = windows.select(
    f.col("device_id").alias("key"),
    f.to_json(f.struct("device_id", minute, "n", "mean", "hi")).alias("value"),
)
query = (
    out.writeStream.format("kafka")
    .option("kafka.bootstrap.servers", BROKERS)
    .option("topic", OUT)
    .option("checkpointLocation", tempfile.mkdtemp(prefix="spark-"))
    .outputMode("update")
    .trigger(availableNow=True)
    .start()
)
query.awaitTermination()
spark.stop()
