"""`python -m doppler`: run one doppler as a process."""

from doppler import Config, serve
from plumbing.lifecycle import run

if __name__ == "__main__":
    run(serve, Config)
