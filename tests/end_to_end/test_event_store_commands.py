"""The event store in a system of real processes: `standpipe query` finds what was sent, and follows what comes."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
from collections.abc import Iterator

import pytest

from tests.end_to_end.systems import RunningUp, eventually, run_command, running_command, up

ONLY = ("--only", "doppler,metron,event_store")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningUp]:
    """A system that every test here shares; each has a source of its own."""
    with up(tmp_path_factory.mktemp("system") / "data", *ONLY) as system:
        yield system


def emit(system: RunningUp, source: str, *lines: str) -> None:
    sent = run_command(system.data_dir, "emit", "--source", source, "-", stdin="\n".join(lines).encode() + b"\n")
    assert sent.returncode == 0, sent.stderr


def has(system: RunningUp, source: str, count: int) -> bool:
    found = run_command(system.data_dir, "query", "--json", f"source:{source} | count")
    return found.returncode == 0 and json.loads(found.stdout)["rows"] == [[count]]


def test_what_was_sent_is_found_and_counted_and_a_wrong_query_says_where(running: RunningUp) -> None:
    emit(running, "shop", *[f"level={'error' if n % 4 == 0 else 'info'} order={n} took=5ms" for n in range(20)])
    assert eventually(lambda: has(running, "shop", 20))

    lines = run_command(running.data_dir, "query", "source:shop level:error order >= 8")
    assert [line.split("order=")[1].split()[0] for line in lines.stdout.splitlines()] == ["8", "12", "16"]

    counted = run_command(running.data_dir, "query", "--csv", "source:shop | count by severity | sort severity")
    assert list(csv.reader(io.StringIO(counted.stdout))) == [["severity", "count"], ["error", "5"], ["info", "15"]]

    failed = run_command(running.data_dir, "query", "source:shop | cuont")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "column 15, did you mean count?" in failed.stderr

    asked = "SELECT max(\"f_order$num\") AS most FROM events WHERE source_id = 'shop'"
    table = run_command(running.data_dir, "sql", asked)
    assert table.stdout.split() == ["most", "19"]


def test_what_comes_is_followed_through_a_death_of_the_store(running: RunningUp) -> None:
    emit(running, "followed", "before")
    with running_command(running, "query", "-f", "--json", "source:followed") as following:
        assert eventually(lambda: "before" in following.output)
        emit(running, "followed", "one")
        assert eventually(lambda: "one" in following.output)

        killed = running.pid("event_store")
        os.kill(killed, signal.SIGKILL)
        assert eventually(lambda: running.pid("event_store") not in (0, killed))
        emit(running, "followed", "two")
        assert eventually(lambda: "two" in following.output), following.errors

        said = [json.loads(line)["message"] for line in following.output.splitlines()]
        assert said == ["before", "one", "two"]
