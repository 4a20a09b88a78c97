"""How a batch is sent in several bodies, and accounted for."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope.framing import frame
from envelope.pb.loggregator_v2_pb2 import Envelope
from nozzles.http_sink import Item, Outcome, deliver, grouped
from nozzles.sdk import Batch, SinkDenied, SinkRefused, SinkUnavailable


def batch_of(count: int) -> Batch:
    envelopes = (Envelope(timestamp=n, source_id="app").SerializeToString() for n in range(count))
    return Batch(b"".join(map(frame, envelopes)), count)


def items_of(count: int) -> list[Item]:
    return [Item((n,), b"x") for n in range(count)]


def times(batch: Batch | None) -> list[int]:
    return [envelope.timestamp for envelope in batch or ()]


@given(sizes=st.lists(st.integers(0, 40), max_size=30), max_bytes=st.integers(1, 60), max_entries=st.integers(1, 9))
def test_groups_keep_every_item_in_order_and_the_bounds(sizes: list[int], max_bytes: int, max_entries: int) -> None:
    items = [Item((n,), b"x" * size) for n, size in enumerate(sizes)]

    groups = list(grouped(items, max_bytes=max_bytes, max_entries=max_entries))

    assert [item for group in groups for item in group] == items
    for group in groups:
        assert len(group) <= max_entries
        assert len(group) == 1 or len(b",".join(item.data for item in group)) <= max_bytes


async def send_in(groups: Sequence[Sequence[Item]], batch: Batch, answers: list[Any], **how: bool) -> list[list[int]]:
    """Deliver, answering each body in turn; return the envelopes of each body."""
    sent: list[list[int]] = []

    async def send(group: Sequence[Item]) -> Outcome | None:
        sent.append([index for item in group for index in item.indexes])
        answer = answers.pop(0) if answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer(group) if callable(answer) else answer

    await deliver(batch, groups, send, **how)
    return sent


async def test_what_is_safe_is_not_sent_again() -> None:
    batch = batch_of(6)

    with pytest.raises(SinkUnavailable, match="busy") as caught:
        await send_in(list(grouped(items_of(6), max_bytes=3)), batch, [None, SinkUnavailable("busy", retry_after_s=3)])

    assert times(caught.value.left) == [2, 3, 4, 5]
    assert caught.value.retry_after_s == 3


async def test_a_body_that_is_refused_is_counted_and_the_others_go_on() -> None:
    batch = batch_of(6)

    sent = await send_in(list(grouped(items_of(6), max_bytes=3)), batch, [None, SinkRefused("no", reason="denied")])

    assert sent == [[0, 1], [2, 3], [4, 5]]
    assert batch.refused == {"denied": 2}


async def test_a_batch_that_is_refused_whole_says_why() -> None:
    batch = batch_of(2)

    with pytest.raises(SinkRefused, match="no"):
        await send_in([items_of(2)], batch, [SinkRefused("no")])

    assert batch.refused == {}


async def test_a_body_that_is_too_large_is_tried_in_halves() -> None:
    batch = batch_of(3)
    too_large = SinkRefused("too large", reason="too_large")

    sent = await send_in([items_of(3)], batch, [too_large, too_large])

    assert sent == [[0, 1, 2], [0], [1, 2]]
    assert batch.refused == {"too_large": 1}


async def test_a_sink_that_takes_a_part_leaves_the_rest() -> None:
    batch = batch_of(4)

    with pytest.raises(SinkUnavailable, match="no room for 2") as caught:
        await send_in([items_of(4)], batch, [lambda group: Outcome({"bad": 1}, left=group[2:])])

    assert times(caught.value.left) == [2, 3]
    assert batch.refused == {"bad": 1}


async def test_what_is_to_be_sent_again_goes_at_once_and_first() -> None:
    batch = batch_of(4)
    answers = [lambda group: Outcome(again=[group[:1], group[1:]])]

    sent = await send_in(list(grouped(items_of(4), max_bytes=3)), batch, answers)

    assert sent == [[0, 1], [0], [1], [2, 3]]


async def test_a_batch_that_comes_whole_again_refuses_nothing_before() -> None:
    batch = batch_of(4)

    with pytest.raises(SinkUnavailable) as caught:
        await send_in(
            list(grouped(items_of(4), max_bytes=3)), batch, [SinkRefused("no"), SinkUnavailable("later")],
            comes_whole=True,
        )  # fmt: skip

    assert caught.value.left is None
    assert batch.refused == {}


async def test_an_item_of_several_envelopes_counts_them_all() -> None:
    batch = batch_of(4)

    await send_in([[Item((0, 2), b"x")], [Item((1,), b"x")]], batch, [SinkRefused("no")])

    assert batch.refused == {"refused": 2}


async def test_what_stands_in_no_item_is_skipped() -> None:
    batch = batch_of(5)
    batch.refuse(1, "no_number")

    await send_in([items_of(2)], batch, [])

    assert (batch.skipped, batch.refused) == (2, {"no_number": 1})


async def test_what_was_skipped_is_not_left() -> None:
    batch = batch_of(4)

    with pytest.raises(SinkUnavailable) as caught:
        await send_in([items_of(1), [Item((3,), b"x")]], batch, [None, SinkUnavailable("busy")])

    assert times(caught.value.left) == [3]
    assert batch.skipped == 2


async def test_a_batch_that_comes_whole_again_skips_nothing_before() -> None:
    batch = batch_of(4)

    with pytest.raises(SinkUnavailable):
        await send_in([items_of(2)], batch, [SinkUnavailable("busy")], comes_whole=True)

    assert batch.skipped == 0


async def test_a_batch_that_is_refused_but_for_what_is_skipped_says_why() -> None:
    batch = batch_of(3)

    with pytest.raises(SinkRefused, match="no"):
        await send_in([items_of(2)], batch, [SinkRefused("no")])

    assert (batch.skipped, batch.refused) == (1, {})


async def test_a_batch_that_is_refused_for_several_reasons_counts_each() -> None:
    batch = batch_of(3)

    await send_in([items_of(1), [Item((1,), b"x"), Item((2,), b"x")]], batch,
                  [Outcome({"invalid": 1}), SinkRefused("no")])  # fmt: skip

    assert batch.refused == {"invalid": 1, "refused": 2}


async def test_a_sink_that_does_not_let_us_in_is_told_from_one_that_is_busy() -> None:
    denied = SinkDenied("mend it")

    with pytest.raises(SinkDenied) as caught:
        await send_in([items_of(2)], batch_of(2), [denied])
    with pytest.raises(SinkDenied):
        await send_in([items_of(2)], batch_of(2), [lambda group: Outcome(left=group, trouble=denied)])

    assert caught.value is denied
    assert len(times(caught.value.left)) == 2
