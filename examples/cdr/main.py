"""Call records for as long as a network would make them: `python main.py`, the same as `pds cdr`.

Where `cdr_to_redpanda_script.sh` has made keys, they are used.
"""

import os
import sys
from pathlib import Path

from pydatastream.cli import main

KEYS = Path(__file__).parent / "keys"
MADE = {"SFTP_KEY_FILE": KEYS / "user_key", "SFTP_KNOWN_HOSTS": KEYS / "known_hosts"}

if __name__ == "__main__":
    for variable, file in MADE.items():
        if file.exists():
            os.environ.setdefault(variable, str(file))
    sys.argv.insert(1, "cdr")
    main()
