"""`python -m nozzles --name NAME`: run one nozzle as a process."""

import os
import sys
from functools import partial

from nozzles.config import Config, make_config
from nozzles.found import choose
from nozzles.service import serve
from plumbing.config import ConfigError
from plumbing.lifecycle import MISCONFIGURED, run


def main(argv: list[str]) -> int:
    """Find out which nozzle it is, and of which kind, and run it; returns the exit code."""
    try:
        chosen = choose(argv, os.environ)
    except ConfigError as error:
        sys.stderr.write(f"nozzles: {error}\n")
        return MISCONFIGURED
    if chosen is None:  # nobody said which, and asks for help
        return run(serve, Config, argv)
    return run(partial(serve, kind=chosen.kind), make_config(chosen.kind, chosen.name), argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
