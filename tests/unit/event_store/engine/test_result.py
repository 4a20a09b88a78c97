"""What the columns of an answer hold."""

import pyarrow as pa
import pytest

from event_store.engine.result import type_of_arrow
from event_store.model import ColumnType


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (pa.timestamp("ns"), ColumnType.TIME),
        (pa.int64(), ColumnType.INTEGER),
        (pa.uint8(), ColumnType.INTEGER),
        (pa.float64(), ColumnType.NUMBER),
        (pa.decimal128(38, 0), ColumnType.NUMBER),
        (pa.string(), ColumnType.TEXT),
        (pa.bool_(), ColumnType.TEXT),
        (pa.list_(pa.int64()), ColumnType.TEXT),
    ],
)
def test_type_of_arrow(kind: pa.DataType, expected: ColumnType) -> None:
    assert type_of_arrow(kind) is expected
