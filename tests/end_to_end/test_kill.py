"""Components are killed under load: what goes on, what comes back, what is lost, and whether the ledger knows it."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.deaths import account_of, balanced_ledger, kill
from tests.end_to_end.subscribers import subscriber, v1_subscriber
from tests.end_to_end.systems import (
    FIREHOSE,
    SUBSCRIBER,
    Command,
    RunningUp,
    accounts,
    dopplers,
    eventually,
    firehose,
    is_settled,
    is_subscribed,
    load,
    up,
)

PER_SECOND = 4_000
WATCH = "watch"


@pytest.fixture
def running(certs_dir: Path, tmp_path: Path) -> Iterator[RunningUp]:
    """A system of its own for each test: in the end its books hold one death."""
    shutil.copytree(certs_dir, tmp_path / "data" / "certs")
    with up(tmp_path / "data") as system:
        yield system


def test_a_killed_doppler_loses_no_more_than_the_ledger_says(running: RunningUp) -> None:
    with firehose(running, WATCH) as reader, load(running, "load", per_second=PER_SECOND) as sending:
        assert eventually(lambda: len(reader.messages("load")) >= PER_SECOND)
        kill(running, "doppler-0")
        _goes_on(reader, PER_SECOND // 4)
        _comes_back(running, "doppler-0")
        assert eventually(lambda: any(each["received"] for each in accounts(running, "doppler-0", WATCH)))
        assert sending.finish() == 0, sending.emit.errors
        said = _settled_books(running)

        sent, seen = set(sending.lines()), Counter(reader.messages("load"))
    _only_the_death_is_remarked(said, "doppler-0")
    assert set(seen) <= sent
    assert len(sent - set(seen)) <= _lost_with(said, "doppler-0")
    assert max(seen.values()) <= 2
    assert seen.total() - len(seen) <= account_of(said, "metron", "agent")["returned"]


def test_a_killed_traffic_controller_loses_nothing(running: RunningUp) -> None:
    with firehose(running, WATCH) as reader, load(running, "load", per_second=PER_SECOND) as sending:
        assert eventually(lambda: len(reader.messages("load")) >= PER_SECOND)
        kill(running, "traffic_controller")
        assert eventually(lambda: "connecting again" in reader.errors)
        printed_before = Counter(reader.messages("load"))
        _comes_back(running, "traffic_controller")
        _goes_on(reader, PER_SECOND)
        assert sending.finish() == 0, sending.emit.errors
        sent = set(sending.lines())
        assert eventually(lambda: sent <= set(reader.messages("load")))
        said = _settled_books(running)

        seen = Counter(reader.messages("load"))
    _only_the_death_is_remarked(said, "traffic_controller")
    assert set(seen) == sent
    twice = seen - Counter(sent)
    assert twice <= printed_before  # printed, and not confirmed when it died
    assert twice.total() <= sum(account_of(said, name, WATCH)["returned"] for name in ("doppler-0", "doppler-1"))


def test_a_killed_agent_fails_the_sender_which_knows_what_was_confirmed(running: RunningUp) -> None:
    with firehose(running, WATCH) as reader:
        with load(running, "load", per_second=PER_SECOND) as sending:
            assert eventually(lambda: len(reader.messages("load")) >= PER_SECOND)
            kill(running, "metron")
            assert sending.finish() == 3
            confirmed = re.search(r"([\d,]+) of ([\d,]+) envelopes were confirmed", sending.emit.errors)
        assert confirmed, sending.emit.errors
        _comes_back(running, "metron")
        with load(running, "load", per_second=PER_SECOND, what="second") as again:
            _goes_on(reader, PER_SECOND)
            assert again.finish() == 0, again.emit.errors
        assert eventually(lambda: set(again.lines()) <= set(reader.messages("load")))
        said = _settled_books(running)

        seen = Counter(reader.messages("load"))
    _only_the_death_is_remarked(said, "metron")
    assert set(seen.values()) == {1}
    count, put = (int(number.replace(",", "")) for number in confirmed.groups())
    assert 0 < count <= put  # what a reader has seen may not be confirmed yet
    assert set(seen) <= set(sending.lines(put)) | set(again.lines())
    passed_on = account_of(said, "metron", "agent", gone=True)["delivered"]
    assert len(set(sending.lines(count)) - set(seen)) <= put - passed_on


def test_a_killed_reverse_log_proxy_loses_nothing(running: RunningUp) -> None:
    with subscriber(running, WATCH) as reader:
        assert eventually(lambda: is_subscribed(running, WATCH))
        with load(running, "load", per_second=PER_SECOND) as sending:
            assert eventually(lambda: len(reader.lines) >= PER_SECOND)
            kill(running, "reverse_log_proxy")
            _comes_back(running, "reverse_log_proxy")
            so_far = len(reader.lines)
            assert eventually(lambda: len(reader.lines) >= so_far + PER_SECOND)
            assert sending.finish() == 0, sending.emit.errors
        sent = set(sending.lines())
        assert eventually(lambda: sent <= set(reader.lines))
        said = _settled_books(running, reader=SUBSCRIBER)

        seen = Counter(reader.lines)
    _only_the_death_is_remarked(said, "reverse_log_proxy")
    assert set(seen) == sent
    twice = (seen - Counter(sent)).total()
    assert twice <= sum(account_of(said, name, WATCH)["returned"] for name in ("doppler-0", "doppler-1"))


def test_a_killed_doppler_harms_no_v1_subscriber_of_another(running: RunningUp) -> None:
    with v1_subscriber(running, "doppler-0", WATCH) as dying, v1_subscriber(running, "doppler-1", WATCH) as staying:
        assert eventually(lambda: all(accounts(running, name, f"v1 {WATCH}") for name in dopplers(running)))
        with load(running, "load", per_second=PER_SECOND) as sending:
            assert eventually(lambda: min(len(dying.lines), len(staying.lines)) >= PER_SECOND // 4)
            kill(running, "doppler-0")
            so_far = len(staying.lines)
            assert eventually(lambda: len(staying.lines) >= so_far + PER_SECOND)
            _comes_back(running, "doppler-0")
            so_far = len(dying.lines)
            assert eventually(lambda: len(dying.lines) >= so_far + PER_SECOND // 4)
            assert sending.finish() == 0, sending.emit.errors

        def everything_was_read() -> bool:
            (books,) = accounts(running, "doppler-1", f"v1 {WATCH}")
            return len(staying.lines) + staying.others == books["received"] == books["delivered"]

        assert eventually(everything_was_read)
        said = balanced_ledger(running)
    _only_the_death_is_remarked(said, "doppler-0")
    assert len(staying.lines) == len(set(staying.lines))
    assert set(staying.lines) | set(dying.lines) <= set(sending.lines())


def _comes_back(system: RunningUp, component: str) -> None:
    assert eventually(lambda: system.pid(component)), system.output


def _goes_on(reader: Command, lines: int) -> None:
    """See that so many more lines arrive."""
    so_far = len(reader.messages("load"))
    assert eventually(lambda: len(reader.messages("load")) >= so_far + lines), reader.errors


def _settled_books(system: RunningUp, *, reader: str = FIREHOSE) -> Any:
    """What `standpipe ledger` says once nothing is on its way, and it says that the books balance."""
    assert eventually(lambda: is_settled(system, WATCH, reader=reader))
    return balanced_ledger(system)


def _only_the_death_is_remarked(said: Any, component: str) -> None:
    assert not said["problems"]
    assert all(component in remark or "sent again after a broken stream" in remark for remark in said["remarks"])
    assert [book["component"] for book in said["books"] if book["gone"]] == [component]


def _lost_with(said: Any, doppler: str) -> int:
    """How many envelopes are gone with a Doppler that died, by the books.

    What it held or had not seen confirmed; what it confirmed to agents after its book was last read; and what came to
    the one that took its place before the readers had found it.
    """
    died, lives = (account_of(said, doppler, WATCH, gone=gone) for gone in (True, False))
    confirmed = next(hop["lost"] for hop in said["crossings"] if hop["name"] == f"agents → {doppler}")
    door = account_of(said, doppler, "ingress")
    return int(died["held"] + died["in_flight"] + confirmed + door["delivered"] - lives["received"])
