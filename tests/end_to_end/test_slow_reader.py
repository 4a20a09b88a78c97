"""A reader that stops reading: it alone loses envelopes, they are counted, and it is told."""

from __future__ import annotations

import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.end_to_end.subscribers import subscriber, v1_subscriber
from tests.end_to_end.systems import (
    Command,
    RunningUp,
    accounts,
    dopplers,
    eventually,
    firehose,
    is_settled,
    is_subscribed,
    load,
    run_command,
    up,
)

PER_SECOND = 10_000
AT_LEAST = 5_000
"""Envelopes to be dropped: so many that the reader has surely been slow."""


def test_who_is_slow_is_told_how_many_it_lost_and_nobody_else_loses_any(certs_dir: Path, tmp_path: Path) -> None:
    with (
        _small(certs_dir, tmp_path, slow_consumer_s=60) as system,
        firehose(system, "slow") as slow,
        firehose(system, "healthy") as healthy,
    ):
        _has_read_something(system, slow)
        slow.signal(signal.SIGSTOP)
        with load(system, "load", per_second=PER_SECOND) as sending:
            assert eventually(lambda: _dropped(system, "slow") >= AT_LEAST)
            assert sending.finish() == 0, sending.emit.errors
        assert _imbalance(system, "slow") == 0
        slow.signal(signal.SIGCONT)
        assert eventually(lambda: is_settled(system, "slow") and is_settled(system, "healthy"))

        sent, dropped = sending.lines(), _dropped(system, "slow")
        assert eventually(lambda: _told(slow) == dropped)
        assert eventually(lambda: len(slow.messages("load")) + dropped == len(sent))
        assert set(slow.messages("load")) <= set(sent)
        assert _repeated(slow) == 0
        assert Counter(healthy.messages("load")) == Counter(sent)
        assert (_dropped(system, "healthy"), _told(healthy)) == (0, 0)
        ledger = run_command(system.data_dir, "ledger")
    assert ledger.returncode == 0, ledger.stdout


def test_who_is_slow_for_too_long_is_cut_off_and_told_why(certs_dir: Path, tmp_path: Path) -> None:
    with (
        _small(certs_dir, tmp_path, slow_consumer_s=2) as system,
        firehose(system, "slow", "--explain") as slow,
        firehose(system, "healthy") as healthy,
    ):
        _has_read_something(system, slow)
        slow.signal(signal.SIGSTOP)
        with load(system, "load", per_second=PER_SECOND) as sending:
            assert eventually(lambda: "slow_consumer" in system.output)
            slow.signal(signal.SIGCONT)
            assert eventually(lambda: "slow consumer: " in slow.errors), slow.errors
            assert sending.finish() == 0, sending.emit.errors
        assert eventually(lambda: len(accounts(system, "traffic_controller", "firehose slow")) == 2)  # it came back
        assert eventually(lambda: is_settled(system, "slow") and is_settled(system, "healthy"))

        sent = sending.lines()
        assert eventually(lambda: set(healthy.messages("load")) == set(sent))
        assert len(set(sent) - set(slow.messages("load"))) <= _dropped(system, "slow")
        assert _imbalance(system, "slow") == 0
        assert (_dropped(system, "healthy"), _repeated(healthy)) == (0, 0)
        ledger = run_command(system.data_dir, "ledger")
    assert ledger.returncode == 0, ledger.stdout


def test_a_slow_v1_subscriber_is_told_how_many_it_lost_and_one_of_the_proxy_loses_none(
    certs_dir: Path, tmp_path: Path
) -> None:
    with (
        _small(certs_dir, tmp_path, slow_consumer_s=60) as system,
        v1_subscriber(system, "doppler-0", "slow") as slow,
        subscriber(system, "healthy") as healthy,
    ):
        assert eventually(lambda: accounts(system, "doppler-0", "v1 slow") and is_subscribed(system, "healthy"))
        slow.may_read.clear()
        with load(system, "load", per_second=PER_SECOND) as sending:
            assert eventually(lambda: _dropped(system, "v1 slow") >= AT_LEAST)
            assert sending.finish() == 0, sending.emit.errors
        slow.may_read.set()
        sent = sending.lines()
        assert eventually(lambda: len(healthy.lines) >= len(sent))

        def everything_was_read() -> bool:
            (books,) = accounts(system, "doppler-0", "v1 slow")
            return len(slow.lines) + slow.others == books["delivered"] and not books["held"]

        assert eventually(everything_was_read)
        dropped = _dropped(system, "v1 slow")
        ledger = run_command(system.data_dir, "ledger")
    assert ledger.returncode == 0, ledger.stdout
    assert (slow.dropped, len(set(slow.lines))) == (dropped, len(slow.lines))
    assert Counter(healthy.lines) == Counter(sent)


@contextmanager
def _small(certs_dir: Path, directory: Path, *, slow_consumer_s: int) -> Iterator[RunningUp]:
    """Run a system whose Dopplers hold little for each subscription."""
    config = directory / "config.toml"
    config.write_text(
        "[doppler]\ndiode_capacity = 2000\ndiode_bytes = 2_000_000\n"
        "self_metrics_interval_s = 0\n"  # envelopes are counted here
        f'[traffic_controller]\nagent_address = ""\nslow_consumer_s = {slow_consumer_s}\ngoodbye_s = 60\n'
        '[reverse_log_proxy]\nagent_address = ""\n'
    )
    shutil.copytree(certs_dir, directory / "data" / "certs")
    with up(directory / "data", "--config", str(config)) as system:
        yield system


def _has_read_something(system: RunningUp, reader: Command) -> None:
    """See that the reader has answered a ping: from then on nothing counts as read that it did not confirm."""
    ended = run_command(system.data_dir, "emit", "--source", "first", "hello")
    assert ended.returncode == 0, ended.stderr
    assert eventually(lambda: reader.messages("first") == ["hello"])
    assert eventually(lambda: is_settled(system, "slow"))


def _dropped(system: RunningUp, subscription: str) -> int:
    """Envelopes that the Dopplers dropped for a subscription."""
    each = [account for name in dopplers(system) for account in accounts(system, name, subscription)]
    return sum(sum(account["dropped"].values()) for account in each)


def _imbalance(system: RunningUp, subscription: str) -> int:
    """Envelopes that came for a subscription and are neither delivered nor dropped, skipped, held or in flight."""
    numbers = ("delivered", "skipped", "held", "in_flight")
    each = [account for name in dopplers(system) for account in accounts(system, name, subscription)]
    assert len(each) == len(dopplers(system))
    return sum(
        abs(account["received"] - sum(account[number] for number in numbers) - sum(account["dropped"].values()))
        for account in each
    )


def _told(reader: Command) -> int:
    """How many envelopes the reader has been told of that were dropped for it."""
    notices = [each for each in reader.records if each["type"] == "counter" and each["name"] == "dropped"]
    return sum(notice["delta"] for notice in notices if "subscription" in notice["tags"])


def _repeated(reader: Command) -> int:
    messages = reader.messages("load")
    return len(messages) - len(set(messages))
