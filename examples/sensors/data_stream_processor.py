"""Read sensor readings, process them, show or keep what comes out: as a configuration says.

python data_stream_processor.py --config config.yaml
"""

import argparse
import signal
import sys
from pathlib import Path

from PyDataStream import DataProcessor, PdsError


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--config", default=Path(__file__).with_name("config.yaml"))
    options = parser.parse_args()
    with DataProcessor(options.config) as processor:
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, lambda *_: processor.stop())
        processor.process_stream()  # until Ctrl-C; what was read is finished


if __name__ == "__main__":
    try:
        main()
    except PdsError as error:
        sys.exit(f"error: {error}")
