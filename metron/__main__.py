"""`python -m metron`: run one agent as a process."""

import sys

from metron import Config, serve
from plumbing.lifecycle import run

if __name__ == "__main__":
    sys.exit(run(serve, Config))
