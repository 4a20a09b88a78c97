"""`python -m traffic_controller`: run one traffic controller as a process."""

import sys

from plumbing.lifecycle import run
from traffic_controller import Config, serve

if __name__ == "__main__":
    sys.exit(run(serve, Config))
