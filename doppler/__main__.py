"""`python -m doppler`: run one doppler as a process."""

import sys

from doppler import Config, serve
from plumbing.lifecycle import run

if __name__ == "__main__":
    sys.exit(run(serve, Config))
