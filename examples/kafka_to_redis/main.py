"""Read records from Kafka, transform each, and write it to Redis.

python examples/kafka_to_redis/main.py [--config FILE] [--limit N] [--idle-timeout 10s]
"""

import argparse
import sys
from pathlib import Path

from PyDataStream import KafkaReader, PdsError, RedisWriter, load_config

CONFIG = Path(__file__).with_name("config.yaml")


def transform_data(record):
    """Yours to change: what becomes of one record; None drops it."""
    if record["temperature"] < 27:
        return None
    return {**record, "fahrenheit": round(record["temperature"] * 9 / 5 + 32, 3)}


def main(options):
    config = load_config(options.config)
    reader = KafkaReader(config["broker_list"], config["topic"], config.section("kafka"))
    writer = RedisWriter(config["redis"])
    reader.before_commit = writer.flush  # Kafka hears of what Redis has, never of more
    with reader, writer:
        for record in reader.get_stream(options.limit, options.idle_timeout):
            try:
                transformed_data = transform_data(record)
                writer.publish_data(transformed_data)
            except Exception as error:  # noqa: BLE001 - whatever it is, the loop goes on
                print(f"error processing {record}: {error!r}", file=sys.stderr)
                reader.set_aside(record, error)  # pds dlq show .pds/dead/<topic>


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--config", default=CONFIG)
    parser.add_argument("--limit", type=int, help="end after so many records")
    parser.add_argument("--idle-timeout", help="end when nothing has come for so long, as 10s")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main(arguments())
    except KeyboardInterrupt:
        pass  # what the loop has gone past is committed
    except PdsError as error:
        sys.exit(f"error: {error}")
