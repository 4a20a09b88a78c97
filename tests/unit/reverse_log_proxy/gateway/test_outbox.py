"""What arrives becomes events, in order; what is written is confirmed, and the books balance at every moment."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope.pb.loggregator_v2_pb2 import EnvelopeBatch
from reverse_log_proxy.gateway import outbox as outbox_module
from reverse_log_proxy.gateway.history import Event
from reverse_log_proxy.gateway.outbox import JOIN_BYTES, Outbox
from tests.strategies import framed
from tests.unit.reverse_log_proxy.gateway.fakes import FakeArrival, logs

MALFORMED = framed(b"\x12\xff")


class Watched(Outbox):
    """An outbox that notes what it confirms, and whose books are looked at all the time."""

    def __init__(self, resume_bytes: int = 1000) -> None:
        self.confirmed: list[bytes] = []
        super().__init__("gateway 1", self._note, resume_bytes)

    def _note(self, arrivals: Sequence[Any]) -> None:
        self.confirmed += [arrival.batch for arrival in arrivals]

    def arrive(self, *batches: bytes, is_kept: bool = True) -> None:
        for batch in batches:
            self.put(FakeArrival(batch, is_kept=is_kept))  # type: ignore[arg-type]  # a fake
            assert self.account().balance == 0

    def write(self) -> Event:
        event = self.next()
        assert event is not None
        self.written(event)
        assert self.account().balance == 0
        return event


def payloads(event: Event) -> list[bytes]:
    return [envelope.log.payload for envelope in EnvelopeBatch.FromString(event.batch).batch]


def test_what_waits_is_joined_to_one_event() -> None:
    outbox = Watched()
    outbox.arrive(logs(b"1"), logs(b"2", b"3"))

    event = outbox.next()

    assert event is not None
    assert payloads(event) == [b"1", b"2", b"3"]
    assert len(json.loads(event.json or b"")["batch"]) == 3


def test_events_are_not_joined_without_end() -> None:
    outbox = Watched()
    large = logs(b"x" * (JOIN_BYTES // 2))
    outbox.arrive(large, large, large)

    assert [len(payloads(outbox.write())) for _ in range(3)] == [1, 1, 1]


def test_a_single_message_may_be_larger() -> None:
    outbox = Watched()
    outbox.arrive(logs(b"x" * JOIN_BYTES * 2))

    assert len(payloads(outbox.write())) == 1


def test_only_what_was_written_is_confirmed() -> None:
    outbox = Watched()
    outbox.arrive(logs(b"1"))
    outbox.next()
    outbox.arrive(logs(b"2"))
    before = list(outbox.confirmed)

    outbox.write()

    assert (before, outbox.confirmed) == ([], [logs(b"1")])


def test_an_event_whose_writing_failed_is_written_again() -> None:
    outbox = Watched()
    outbox.arrive(logs(b"1"))
    failed = outbox.next()
    outbox.arrive(logs(b"2"))

    assert outbox.resume_after(0)
    assert outbox.write() is failed
    assert payloads(outbox.write()) == [b"2"]


def test_an_event_that_arrived_all_the_same_is_confirmed_when_the_client_names_it() -> None:
    outbox = Watched()
    outbox.arrive(logs(b"1"))
    outbox.next()

    assert outbox.resume_after(1)
    assert (outbox.confirmed, outbox.account().delivered) == ([logs(b"1")], 1)
    assert outbox.next() is None


def test_an_event_that_is_written_again_has_its_json_again_and_counts_once() -> None:
    outbox = Watched()
    outbox.arrive(logs(b"1"))
    json_before = outbox.next().json  # type: ignore[union-attr]  # there is one
    outbox.write()
    outbox.resume_after(0)

    assert outbox.next().json == json_before  # type: ignore[union-attr]  # there is one
    outbox.write()
    assert (outbox.account().delivered, len(outbox.confirmed)) == (1, 1)


def test_an_id_that_is_not_held_changes_nothing() -> None:
    outbox = Watched(resume_bytes=0)
    outbox.arrive(logs(b"1"))
    outbox.write()

    assert not outbox.resume_after(0)
    assert not outbox.resume_after(5)
    assert outbox.resume_after(1)


def test_the_books_tell_what_waits_from_what_is_being_written() -> None:
    outbox = Watched()
    outbox.arrive(logs(b"1", b"2"))
    outbox.next()
    outbox.arrive(logs(b"3"))

    account = outbox.account()

    assert (account.received, account.in_flight, account.held, account.delivered) == (3, 2, 1, 0)


def test_what_was_not_written_stays_with_the_dopplers() -> None:
    outbox = Watched()
    outbox.arrive(logs(b"1"))
    outbox.write()
    outbox.arrive(logs(b"2"))
    outbox.next()
    outbox.arrive(logs(b"3", b"4"))

    outbox.close()

    account = outbox.account()
    assert (account.received, account.delivered, account.returned, account.balance) == (1, 1, 3, 0)


def test_what_an_original_doppler_sent_and_nobody_read_is_lost_and_counted() -> None:
    outbox = Watched()
    outbox.arrive(logs(b"1", b"2"), is_kept=False)

    outbox.close()

    account = outbox.account()
    assert (account.received, dict(account.dropped), account.balance) == (2, {"unread": 2}, 0)
    assert account.outside == 2


def test_malformed_envelopes_are_skipped_and_confirmed_in_their_turn() -> None:
    outbox = Watched()
    outbox.arrive(logs(b"1"))
    outbox.next()
    outbox.arrive(MALFORMED)
    before = list(outbox.confirmed)
    outbox.write()

    assert (before, outbox.next()) == ([], None)
    assert outbox.confirmed == [logs(b"1"), MALFORMED]
    assert outbox.account().skipped == 1


def test_what_has_no_form_as_json_takes_nothing_else_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever passed as an envelope and is none to the writer of JSON."""
    json_batch = outbox_module.kernel.json_batch

    def picky(batch: bytes) -> bytes:
        if b"bad" in batch:
            raise outbox_module.DecodeError("bad")
        return json_batch(batch)

    monkeypatch.setattr(outbox_module.kernel, "json_batch", picky)
    outbox = Watched()
    outbox.arrive(logs(b"1"), logs(b"bad"), logs(b"2"))

    assert [payloads(outbox.write()) for _ in range(2)] == [[b"1"], [b"2"]]
    account = outbox.account()
    assert (account.skipped, account.delivered, len(outbox.confirmed)) == (1, 2, 3)


@given(
    steps=st.lists(st.sampled_from(["arrive", "write", "fail", "break"]), max_size=60), resume_bytes=st.integers(0, 200)
)
def test_a_client_that_resumes_sees_each_envelope_once_and_in_order(steps: list[str], resume_bytes: int) -> None:
    """The client has read everything that was written; at a break it names the last event it has."""
    outbox, sent, seen, last = Watched(resume_bytes), 0, [], 0
    for step in [*steps, *["write"] * 60]:
        if step == "arrive":
            sent += 1
            outbox.arrive(logs(b"%d" % sent))
        elif step == "fail":
            outbox.next()  # its writing breaks off
            assert outbox.resume_after(last)
        elif step == "break":
            assert outbox.resume_after(last)
        elif outbox.next() is not None:
            event = outbox.write()
            last = event.number
            seen += payloads(event)

    assert seen == [b"%d" % number for number in range(1, sent + 1)]
    assert outbox.account().delivered == sent == len(outbox.confirmed)
