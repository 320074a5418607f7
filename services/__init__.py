"""Real servers for tests and for trying things out, on free loopback ports.

`python -m services` starts them for a person; tests ask for fixtures such as `kafka_server`. What
they need is installed into a cache folder the first time, or by the system's packages.
"""

from services.aws import Aws
from services.kafka import Kafka
from services.mongodb import MongoDB
from services.mqtt import Mqtt
from services.postgres import Postgres
from services.redis import Redis
from services.redis_stack import RedisStack
from services.server import Server
from services.sftp import Sftp
from services.toxiproxy import Toxiproxy

SERVERS: tuple[type[Server], ...] = (
    Kafka,
    Redis,
    RedisStack,
    Sftp,
    Postgres,
    MongoDB,
    Aws,
    Mqtt,
    Toxiproxy,
)
"""Every server, in the order `make services` starts them."""
