"""`python -m event_store`: run one store as a process."""

import sys

from event_store import Config, serve
from plumbing.lifecycle import run

if __name__ == "__main__":
    sys.exit(run(serve, Config))
