"""What tests of queries share: an engine, which takes a moment to start."""

from collections.abc import Iterator

import pytest

from tests.event_store_engine import Engine


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine()
    yield engine
    engine.close()
