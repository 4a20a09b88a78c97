"""A nozzle whose sink takes everything at once: what the runner itself costs."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from nozzles.config import make_config
from nozzles.sdk import Batch, NozzleKind, Write
from nozzles.service import serve
from plumbing.config import Section
from plumbing.lifecycle import run


@asynccontextmanager
async def _open(_: Section) -> AsyncIterator[Write]:
    async def write(batch: Batch) -> None:
        """Have it."""

    yield write


def main() -> int:
    """Run it as a component of a rig."""
    kind = NozzleKind(Section, _open)
    return run(partial(serve, kind=kind), make_config(kind, "null"), sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
