"""The log cache in a system of real processes: everything that was sent is there once, and comes at once."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from envelope.pb import dropsonde_pb2 as v1
from envelope.pb.loggregator_v2_pb2 import Envelope
from tests.end_to_end.log_caches import ask, held, logs, pages, payloads, send
from tests.end_to_end.systems import (
    Command,
    RunningUp,
    accounts,
    dopplers,
    eventually,
    load,
    run_command,
    running_command,
    up,
)

SECOND = 1_000_000_000
MANY = 10_000


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningUp]:
    """A whole system that every test here shares; each has a source of its own."""
    with up(tmp_path_factory.mktemp("system") / "data") as system:
        yield system


@pytest.fixture(scope="module")
def many(running: RunningUp) -> list[Envelope]:
    """Ten thousand lines in the cache: half of them of few times, half of times of their own, in any order."""
    now, rng = time.time_ns() - 60 * SECOND, random.Random(4)
    times = [now + 1000 * (number // 150) for number in range(MANY // 2)]
    times += [now + 500 + 1000 * number for number in range(MANY // 2)]
    rng.shuffle(times)
    envelopes = logs("many", times)
    send(running, envelopes)
    assert eventually(lambda: held(running).get("many") == MANY)
    return envelopes


def test_pages_by_cursor_have_every_line_exactly_once(running: RunningUp, many: list[Envelope]) -> None:
    found = list(pages(running, "many"))

    assert [len(page) for page in found] == [1000] * 10
    assert Counter(line for page in found for line in page) == Counter(_said(many))


def test_tail_has_the_newest_lines(running: RunningUp, many: list[Envelope]) -> None:
    times = {line: each.timestamp for line, each in zip(_said(many), many, strict=True)}

    found = _tail(running, "many", 1000)

    assert len(set(found)) == 1000
    assert [times[line] for line in found] == sorted(times.values())[-1000:]


def test_tail_has_every_line_exactly_once_if_so_many_are_asked_for(running: RunningUp, many: list[Envelope]) -> None:
    assert Counter(_tail(running, "many", MANY)) == Counter(_said(many))


def test_tail_goes_on_from_what_was_without_a_gap_or_a_repeat(running: RunningUp) -> None:
    with load(running, "follow", per_second=300) as sending:
        assert eventually(lambda: held(running).get("follow", 0) >= 300)
        with running_command(running, "tail", "follow", "-n", "100", "-f", "--json") as tail:
            assert eventually(lambda: len(tail.records) >= 1500)
            assert sending.finish() == 0, sending.emit.errors
            sent = sending.lines()
            assert eventually(lambda: held(running)["follow"] == len(sent))
            assert eventually(lambda: sent[-1] in _printed(tail))
            first = sent.index(min(_printed(tail), key=sent.index))
            assert eventually(lambda: len(tail.records) >= len(sent) - first)
            printed = _printed(tail)
    assert Counter(printed) == Counter(sent[first:])
    assert tail.errors == ""


def test_a_line_appears_within_a_second(running: RunningUp) -> None:
    with running_command(running, "tail", "prompt", "-f", "--json") as tail:
        for number in range(5):
            send(running, logs("prompt", [time.time_ns()], f"{number}:"))
            within_s = 30 if number == 0 else 1  # the first waits for the command to begin
            assert eventually(partial(_has_printed, tail, number + 1), within_s=within_s)


def test_the_traffic_controller_answers_from_the_log_cache(running: RunningUp) -> None:
    metrics = {name: {"unit": "bytes", "value": 1} for name in ("memory", "disk", "memory_quota", "disk_quota")}
    metrics["cpu"] = {"unit": "percentage", "value": 2.5}
    gauge = Envelope(source_id="old", instance_id="3", timestamp=time.time_ns(), gauge={"metrics": metrics})
    send(running, [*logs("old", [time.time_ns() - SECOND, time.time_ns()]), gauge])
    assert eventually(lambda: held(running).get("old") == 3)

    recent = _parts(running, "/apps/old/recentlogs")
    assert sorted(part.logMessage.message for part in recent) == [b"line 0", b"line 1"]
    [container] = _parts(running, "/apps/old/containermetrics")
    assert (container.containerMetric.instanceIndex, container.containerMetric.cpuPercentage) == (3, 2.5)


def test_promql_finds_what_was_emitted(running: RunningUp) -> None:
    send(running, [Envelope(source_id="shop", timestamp=time.time_ns(), counter={"name": "requests", "total": 7})])
    assert eventually(lambda: held(running).get("shop") == 1)

    asked = run_command(running.data_dir, "promql", 'sum(requests{source_id="shop"})', "--json")

    assert asked.returncode == 0, asked.stderr
    assert json.loads(asked.stdout)["data"]["result"][0]["value"][1] == "7"


def test_the_books_balance_to_the_envelope(running: RunningUp) -> None:
    before = _fed(running)
    send(running, logs("balance", [time.time_ns()] * 1000))
    assert eventually(lambda: held(running).get("balance") == 1000)

    assert _fed(running) >= before + 1000

    def are_settled() -> bool:
        subscriptions = [each for name in dopplers(running) for each in accounts(running, name, "log-cache")]
        if any(each["held"] or each["in_flight"] for each in subscriptions):
            return False
        (cache,) = accounts(running, "log_cache-0", "cache")
        delivered = sum(each["delivered"] for each in subscriptions)
        return delivered == _fed(running) == cache["received"] == cache["held"] == sum(held(running).values())

    assert eventually(are_settled)
    said = _ledger(running)
    assert (said["problems"], said["remarks"]) == ([], [])
    reading = next(hop for hop in said["crossings"] if hop["name"] == "dopplers → readers")
    assert (reading["lost"], reading["surplus"], reading["again"]) == (0, 0, 0)


def _said(envelopes: list[Envelope]) -> list[str]:
    return [envelope.log.payload.decode() for envelope in envelopes]


def _tail(system: RunningUp, source: str, lines: int) -> list[str]:
    ended = run_command(system.data_dir, "tail", source, "-n", str(lines), "--json")
    assert ended.returncode == 0, ended.stderr
    return payloads([json.loads(line) for line in ended.stdout.splitlines()])


def _printed(tail: Command) -> list[str]:
    return payloads(tail.records)


def _has_printed(tail: Command, count: int) -> bool:
    return len(tail.records) >= count


def _fed(system: RunningUp) -> int:
    (account,) = accounts(system, "log_cache-0", "dopplers")
    return int(account["received"])


def _parts(system: RunningUp, path: str) -> list[v1.Envelope]:
    answer = ask(system, path, door="traffic_controller")
    boundary = answer.raise_for_status().headers["content-type"].partition("boundary=")[2].strip('"')
    parts = answer.content.split(b"--" + boundary.encode())[1:-1]
    return [v1.Envelope.FromString(part.partition(b"\r\n\r\n")[2][:-2]) for part in parts]


def _ledger(system: RunningUp) -> Any:
    ledger = run_command(system.data_dir, "ledger", "--json")
    assert ledger.returncode == 0, ledger.stdout
    return json.loads(ledger.stdout)
