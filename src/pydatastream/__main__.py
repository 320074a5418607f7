"""`python -m pydatastream` is the command `pds`."""

from pydatastream.cli import main

if __name__ == "__main__":
    main()
