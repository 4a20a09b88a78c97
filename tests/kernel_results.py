"""How the results of the two kernels compare: to the byte, or as parsed messages where map order is free."""

from collections.abc import Callable
from typing import Any

import orjson
from google.protobuf.json_format import MessageToDict

from envelope import reference
from envelope.columns import Coded, Columns
from envelope.errors import DecodeError
from envelope.pb import dropsonde_pb2 as v1
from envelope.pb import loggregator_v2_pb2 as v2
from tests.strategies import canonical, parsed


def outcome(function: Callable[..., Any], *arguments: Any) -> tuple[str, Any]:
    """Call a kernel function, and say whether it refused the bytes."""
    try:
        return "returned", function(*arguments)
    except DecodeError as error:
        return "refused", str(error)


def admitted(batch: bytes) -> bytes:
    """What `admit` lets through, nothing if it refuses the batch."""
    verdict, result = outcome(reference.admit, batch)
    return result[0] if verdict == "returned" else b""


def same_envelopes(batch: bytes) -> list[bytes]:
    """The envelopes of a batch, equal whatever the order of their tags."""
    return [canonical(envelope) for envelope in parsed(batch)]


def same_v1(payloads: list[bytes]) -> list[bytes]:
    """The v1 envelopes of one v2 envelope, equal whatever the order of their tags, or of the metrics of a gauge."""
    return sorted(canonical(v1.Envelope.FromString(payload)) for payload in payloads)


def same_frames(result: tuple[bytes, int, int]) -> tuple[list[bytes], int, int]:
    """The frames of one v2 envelope, likewise."""
    frames, count, skipped = result
    payloads, consumed = reference.ws_payloads(frames)
    assert consumed == len(frames)
    return same_v1(payloads), count, skipped


def one_by_one(batch: bytes) -> list[bytes]:
    """Cut an admitted batch into batches of one."""
    return [batch[start:end] for start, end, *_ in reference.spans(batch)]


def same_json(result: tuple[str, Any]) -> tuple[str, Any]:
    """The outcome of writing JSON, equal whatever the order of maps and the spelling of numbers."""
    verdict, text = result
    if verdict == "refused":
        return result
    return verdict, [orjson.loads(one) for one in text] if isinstance(text, list) else orjson.loads(text)


def protobufs_json(batch: bytes) -> Any:
    """The JSON of a batch as protobuf's own formatter has it, parsed."""
    return MessageToDict(
        v2.EnvelopeBatch.FromString(batch), preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def rows_of(columns: Columns) -> list[tuple[Any, ...]]:
    """The rows of columns, each whole: equal whatever the order of tags, and of texts in a coded column."""
    count = columns.rows
    tags: list[dict[bytes, bytes]] = [{} for _ in range(count)]
    for name, coded in columns.tags.items():
        for row, text in enumerate(texts_of(coded)):
            if text is not None:
                tags[row][name] = text
    for row, name, text in columns.more:
        assert name not in columns.tags
        tags[row][name] = text
    ends = memoryview(columns.ends).cast("i")
    assert ends[0] == 0
    texts = [columns.texts[ends[row] : ends[row + 1]] for row in range(count)]
    plain = [
        [*memoryview(columns.times).cast("q")],
        [*columns.kinds],
        [*columns.streams],
        [columns.values[at : at + 8] for at in range(0, len(columns.values), 8)],
        [*memoryview(columns.deltas).cast("Q")],
        [*memoryview(columns.durations).cast("q")],
        texts,
        [*columns.broken],
        *(texts_of(coded) for coded in (columns.source_id, columns.instance_id, columns.name, columns.unit)),
        [sorted(of_row.items()) for of_row in tags],
    ]
    assert len(ends) == count + 1
    assert ends[-1] == len(columns.texts)
    return list(zip(*plain, strict=True))


def same_rows(columns: Columns) -> list[tuple[Any, ...]]:
    """The rows of columns, equal whatever their order too."""
    return sorted(rows_of(columns), key=repr)


def texts_of(coded: Coded) -> list[bytes | None]:
    """The text of each row that a coded column reaches."""
    return [coded.values[code] if code >= 0 else None for code in memoryview(coded.codes).cast("i")]
