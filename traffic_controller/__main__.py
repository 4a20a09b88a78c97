"""`python -m traffic_controller`: run one traffic controller as a process."""

from plumbing.lifecycle import run
from traffic_controller import Config, serve

if __name__ == "__main__":
    run(serve, Config)
