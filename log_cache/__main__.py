"""`python -m log_cache`: run one node of a log cache as a process."""

import sys

from log_cache import Config, serve
from plumbing.lifecycle import run

if __name__ == "__main__":
    sys.exit(run(serve, Config))
