"""An event store is killed under load: everything that was sent is there once, and the ledger says so."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.end_to_end.deaths import balanced_ledger, kill
from tests.end_to_end.systems import RunningUp, accounts, dopplers, eventually, is_subscribed, load, run_command, up
from tests.running_event_store import messages

PER_SECOND = 6_000
ONLY = ("--only", "doppler,metron,event_store")


@pytest.fixture
def data_dir(certs_dir: Path, tmp_path: Path) -> Path:
    """A directory that has certificates already: making them takes longest."""
    shutil.copytree(certs_dir, tmp_path / "data" / "certs")
    return tmp_path / "data"


@pytest.mark.parametrize("rounds", [0, pytest.param(8, marks=(pytest.mark.slow, pytest.mark.timeout(600)))])
def test_an_event_store_killed_at_any_moment_has_everything_once(data_dir: Path, tmp_path: Path, rounds: int) -> None:
    print(f"seed {(seed := time.time_ns())}")
    chance, config = random.Random(seed), tmp_path / "standpipe.toml"
    config.write_text("[doppler]\nlinger_s = 300\n[event_store]\nstorage.flush_s = 2.0\n")
    with up(data_dir, *ONLY, "--config", str(config)) as system:
        assert eventually(lambda: is_subscribed(system, "event-store")), system.output
        with load(system, "shop", per_second=PER_SECOND) as sending:
            assert eventually(lambda: _stored(system) >= PER_SECOND // 2), system.output
            kill(system, "event_store")
            for _ in range(rounds):
                _kill_at_some_moment(system, chance)
            assert eventually(lambda: _stored(system) >= PER_SECOND // 2), system.output
            assert sending.finish() == 0, sending.emit.errors
        assert eventually(lambda: _is_at_rest(system)), run_command(data_dir, "ledger").stdout
        said, sent = balanced_ledger(system), Counter(sending.lines())
        found = Counter(messages(data_dir / "events", "shop"))  # while it runs
        assert run_command(data_dir, "store", "verify").returncode == 0
        assert system.end() == 0

    assert (found - sent, sent - found) == (Counter(), Counter())
    assert Counter(messages(data_dir / "events", "shop")) == sent
    assert not said["problems"]
    assert all("event_store" in remark or "sent again" in remark for remark in said["remarks"])
    print(f"seen: killed {rounds + 1} times, {sent.total()} envelopes stored once each, the books balance")
    assert not any(sum(each["dropped"].values()) for book in said["books"] for each in book["accounts"])


def _stored(system: RunningUp) -> int:
    """How many envelopes the process that runs now has stored; 0 while there is none."""
    return sum(account["delivered"] for account in accounts(system, "event_store", "store"))


def _is_at_rest(system: RunningUp) -> bool:
    """Whether nothing is on its way from the agent to the store; looks down the flow."""
    flow = [("metron", "agent"), *((name, "event-store") for name in dopplers(system)), ("event_store", "store")]
    found = [accounts(system, component, name) for component, name in flow]
    return all(found) and not any(each["held"] or each["in_flight"] for one in found for each in one)


def _kill_at_some_moment(system: RunningUp, chance: random.Random) -> None:
    """Wait until it is there again, and a little; kill it, and see that it dies."""
    assert eventually(lambda: system.pid("event_store")), system.output
    time.sleep(chance.uniform(0, 1.0))
    deaths = _deaths(system)
    os.kill(system.pid("event_store"), signal.SIGKILL)
    assert eventually(lambda: _deaths(system) > deaths)


def _deaths(system: RunningUp) -> int:
    return system.output.count("child=event_store how='was killed by SIGKILL'")
