"""Send network_traffic.csv to the Redis stream `network_traffic`.

python stream_producer.py --records 10 --delay 0.5
python stream_producer.py --records all --delay 0
"""

import sys

from pydatastream.apps.ddos.producer import main

if __name__ == "__main__":
    sys.exit(main())
