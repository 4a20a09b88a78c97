"""`standpipe demo`: the whole pipeline for half a minute, with this machine as its source, and then the books."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import deque
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import trio
import typer

from envelope import kernel
from envelope.pb.loggregator_v2_pb2 import Envelope
from plumbing.logs import set_up_logs
from standpipe.books.balance import COLUMNS, Reading, Verdict, rows
from standpipe.books.read_books import Read, audit, open_books
from standpipe.demo.this_machine import LOG_SOURCE, METRICS_SOURCE, Logs, find_logs, metron_flags
from standpipe.demo.witness import Witness
from standpipe.printing import print_table
from standpipe.reading.envelope_printer import palette_for
from standpipe.reading.session import Reading as Firehose
from standpipe.reading.show import line
from standpipe.reading.stdout import Stdout
from standpipe.supervisor.data_dir import announce, claim, furnish
from standpipe.supervisor.plan import Component, make_plan
from standpipe.supervisor.rooms import DOPPLER
from standpipe.supervisor.settings import UpSettings, told_components
from standpipe.supervisor.supervisor import Supervisor, open_supervisor
from standpipe.supervisor.will import Will
from standpipe.system import System
from standpipe.writing.outbox import open_outbox

OWN_SOURCE = "demo"
METRICS_EVERY_S = 2.0
OWN_LINE_EVERY_S = 1.0
DELIVERED_WITHIN_S = 15.0
_LOOK_AGAIN_S = 0.1
_LAST_LINES = 40
_say = partial(print, flush=True)  # what comes through the firehose is written past Python's buffer


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What there is to judge the demo by, at its end."""

    logs: Logs
    written: int
    """Lines that the demo itself sent."""
    witness: Witness
    reading: Reading
    verdict: Verdict


def demo(
    seconds: Annotated[
        float, typer.Option(min=1, metavar="SECONDS", help="How long envelopes flow; Ctrl-C ends it early.")
    ] = 30.0,
) -> None:
    """Run the whole pipeline on this machine for half a minute, and prove that nothing was lost.

    Everything happens in a temporary directory and on free ports. The agent follows the log files of this machine and
    reads its metrics; the firehose is read over its WebSocket. The exit code is 0 if the books balance, nothing was
    dropped, and what this machine has to say came through.
    """
    set_up_logs("demo", "error")
    raise typer.Exit(trio.run(_demo, seconds))


async def _demo(seconds: float) -> int:
    will = Will()
    with will.heard(), will.running, tempfile.TemporaryDirectory(prefix="standpipe-demo-") as directory:
        data_dir = Path(directory) / "data"
        async with claim(data_dir) as lock:
            furnish(data_dir)
            return await _run(data_dir, seconds, will, lock)
    return will.exit_code(0)


async def _run(data_dir: Path, seconds: float, will: Will, lock: int) -> int:
    outcome: Outcome | None = None
    last_lines: deque[str] = deque(maxlen=_LAST_LINES)
    try:
        async with open_supervisor(
            data_dir, pass_on=lambda name, text: last_lines.append(f"{name:<18} | {text}\n"), keepsakes=[lock]
        ) as supervisor:
            outcome = await _perform(supervisor, data_dir, seconds, will)
            _show_books(outcome)
    finally:
        if outcome is None:
            sys.stderr.writelines(last_lines)
    problems = complaints(outcome)
    for problem in problems:
        _say(f"FAILED: {problem}")
    if not problems:
        _say("\nThe books balance: every envelope was delivered, and nothing was dropped.")
    return 1 if problems else 0


async def _perform(supervisor: Supervisor, data_dir: Path, seconds: float, will: Will) -> Outcome:
    """Start from the readers' end, so that nothing flows past them; then let envelopes flow, and wait for the last."""
    logs, witness = find_logs(), Witness(OWN_SOURCE)
    settings = UpSettings(ports="auto", only=("doppler", "metron", "traffic_controller"))
    plan = make_plan(settings, told_components(None, os.environ), data_dir, None)
    _say("Starting two Dopplers, the traffic controller and an agent ...")
    await supervisor.start(plan.dopplers)
    agents = [_watching(each, logs) for each in plan.dialling(plan.agents, supervisor.endpoints)]
    await supervisor.start(plan.dialling(plan.others, supervisor.endpoints))
    announce(data_dir, supervisor.endpoints)
    files = len(logs.whole) + len(logs.growing)
    _say(f"Following {files} log files and the metrics of this machine for {seconds:g} s. A sample of the firehose:\n")
    async with trio.open_nursery() as reading:
        await reading.start(_read_firehose, data_dir, witness)
        await supervisor.start(agents)
        announce(data_dir, supervisor.endpoints)
        system = System.find(data_dir)
        written = await _write_lines(system, seconds, will.stop)
        _say("\nThe sources of the demo have stopped. Waiting until everything is delivered ...")
        async with open_books(system) as read:
            books, verdict = await _all_delivered(read, witness, written)
        reading.cancel_scope.cancel()
    return Outcome(logs=logs, written=written, witness=witness, reading=books, verdict=verdict)


def _watching(agent: Component, logs: Logs) -> Component:
    return replace(agent, flags=(*agent.flags, *metron_flags(logs, METRICS_EVERY_S)))


async def _read_firehose(
    data_dir: Path, witness: Witness, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Read until cancelled, and show a little of it; started once every Doppler holds what comes for this reader."""
    stdout, palette = Stdout(), palette_for()
    firehose = Firehose(partial(System.find, data_dir), ("firehose", "demo"), {})
    with firehose.explained():
        async with aclosing(firehose.arrivals(reconnect=False)) as arrivals:
            async for messages in arrivals:
                if not messages:
                    await _subscribed(System.find(data_dir))
                    task_status.started()
                shown = "".join(f"{line(record, palette)}\n" for record in witness.see(messages, trio.current_time()))
                await stdout.write(shown.encode())


async def _subscribed(system: System) -> None:
    async with open_books(system) as read:
        while True:
            dopplers = [book for book in (await read()).books if book.component.startswith(DOPPLER.name)]
            if all(any(account.kind == "subscription" for account in book.accounts) for book in dopplers):
                return
            await trio.sleep(_LOOK_AGAIN_S)


async def _write_lines(system: System, seconds: float, stop: trio.Event) -> int:
    """Send a numbered line every second, and return how many it were once the agent has all of them."""
    head = Envelope(source_id=OWN_SOURCE, instance_id="0").SerializeToString()
    written = 0
    async with open_outbox(system) as outbox:
        with trio.move_on_after(seconds):
            while not stop.is_set():
                due = trio.current_time() + OWN_LINE_EVERY_S
                written += 1
                text = f"line {written} of the demo itself"
                await outbox.put(kernel.log_batch([text.encode()], head, time.time_ns(), False), 1)
                with trio.move_on_at(due):
                    await stop.wait()
    return written


async def _all_delivered(read: Read, witness: Witness, written: int) -> tuple[Reading, Verdict]:
    """Read the books until they balance and nothing is on its way, or for as long as that may take."""
    books, verdict = await audit(read)
    with trio.move_on_after(DELIVERED_WITHIN_S):
        while not (verdict.balanced and not on_its_way(books) and witness.has_seen(written)):
            await trio.sleep(_LOOK_AGAIN_S)
            books, verdict = await audit(read)
    return books, verdict


def on_its_way(books: Reading) -> int:
    """Count the envelopes that somebody holds, or has sent and not confirmed."""
    return sum(account.held + account.in_flight for book in books.books for account in book.accounts)


def complaints(outcome: Outcome) -> list[str]:
    """Say what is not as it should be."""
    books, seen = outcome.reading, outcome.witness.by_source
    dropped = sum(account.dropped_total for book in books.books for account in book.accounts)
    found = [*outcome.verdict.problems, *outcome.verdict.remarks, *outcome.witness.complaints(outcome.written)]
    if dropped:
        found.append(f"{dropped} envelopes were dropped")
    if left := on_its_way(books):
        found.append(f"{left} envelopes were not delivered within {DELIVERED_WITHIN_S:g} s")
    if not seen[METRICS_SOURCE]:
        found.append("no metrics of this machine came through")
    if outcome.logs.whole and not seen[LOG_SOURCE]:
        found.append(f"nothing came through of {len(outcome.logs.whole)} log files of this machine")
    return found


def _show_books(outcome: Outcome) -> None:
    sources = ", ".join(f"{count:,} of {source}" for source, count in outcome.witness.by_source.most_common())
    _say(f"\n{outcome.witness.total:,} v1 envelopes came out, one for each value of a gauge: {sources}.\n")
    print_table(
        ("component", *COLUMNS), [(book.component, *row) for book in outcome.reading.books for row in rows(book)]
    )
