"""`python -m syslog_adapter`: run one adapter as a process."""

import sys

from plumbing.lifecycle import run
from syslog_adapter import Config, serve

if __name__ == "__main__":
    sys.exit(run(serve, Config))
