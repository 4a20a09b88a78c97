"""What tests of the spool have in common."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from plumbing.spool import Spool


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with closing(Spool.open(tmp_path / "spool", max_bytes=1 << 20)) as spool:
        yield spool
