"""`python -m metron`: run one agent as a process."""

from metron import Config, serve
from plumbing.lifecycle import run

if __name__ == "__main__":
    run(serve, Config)
