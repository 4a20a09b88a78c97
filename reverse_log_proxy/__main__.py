"""`python -m reverse_log_proxy`: run one reverse log proxy as a process."""

import sys

from plumbing.lifecycle import run
from reverse_log_proxy import Config, serve

if __name__ == "__main__":
    sys.exit(run(serve, Config))
