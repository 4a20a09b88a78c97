"""Run `standpipe up` as a real process for the time of a test."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import orjson

from plumbing.tls import TlsFiles, client_context

STANDPIPE = [sys.executable, "-m", "standpipe"]
PATIENCE_S = 30.0
FIREHOSE, SUBSCRIBER = "firehose", "subscriber"
"""What a reader is called in the books of a traffic controller, and of a reverse log proxy."""


class RunningUp:
    """One `standpipe up`, seen from outside."""

    def __init__(self, process: subprocess.Popen[bytes], data_dir: Path, output: Path) -> None:
        self.process = process
        self.data_dir = data_dir
        self._output = output

    @property
    def output(self) -> str:
        """Everything it has written so far."""
        return self._output.read_text()

    @property
    def endpoints(self) -> dict[str, str]:
        endpoints: dict[str, str] = json.loads((self.data_dir / "endpoints.json").read_bytes())
        return endpoints

    def get(self, component: str, path: str) -> Any:
        """Ask a component's admin port; raises `httpx.HTTPError`."""
        files = TlsFiles.named(self.data_dir / "certs", "client")
        context = client_context(files.ca, files.cert, files.key)
        answer = httpx.get(f"https://{self.endpoints[f'{component}.admin']}{path}", verify=context, trust_env=False)
        return answer.raise_for_status().json()

    def pid(self, component: str) -> int:
        """Return the process of a component, or 0 if it does not answer."""
        try:
            return int(self.get(component, "/ledger")["pid"])
        except httpx.HTTPError:
            return 0

    def wait_until_ready(self) -> None:
        ready = eventually(lambda: (self.data_dir / "endpoints.json").exists() or self.process.poll() is not None)
        assert ready, self.output
        assert self.process.poll() is None, self.output

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


@contextmanager
def up(data_dir: Path, *flags: str, ready: bool = True) -> Iterator[RunningUp]:
    """Run `standpipe up --ports auto` with more flags; whatever it started is gone at the end."""
    output = data_dir.with_name(f"{data_dir.name}-output-{time.monotonic_ns()}")
    command = [*STANDPIPE, "up", "--data-dir", str(data_dir), "--ports", "auto", *flags]
    with output.open("wb") as file:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    running = RunningUp(process, data_dir, output)
    try:
        if ready:
            running.wait_until_ready()
        yield running
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(PATIENCE_S)
        finally:
            process.kill()


def eventually(condition: Callable[[], object], *, within_s: float = PATIENCE_S) -> bool:
    """Ask again and again until the condition holds; say whether it ever did."""
    give_up = time.monotonic() + within_s
    while time.monotonic() < give_up:
        if condition():
            return True
        time.sleep(0.02)
    return False


def is_alive(pid: int) -> bool:
    """Whether there is such a process that is more than a memory of its parent's."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def session_of(pid: int) -> int:
    """Return the session that a process is in."""
    return os.getsid(pid)


class Command:
    """One `standpipe` command that runs beside the test; what it prints goes into files."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path, errors: Path) -> None:
        self.process = process
        self._output = output
        self._errors = errors
        self._read_up_to = 0
        self._records: list[dict[str, Any]] = []
        assert process.stdin is not None
        self.stdin = process.stdin

    @property
    def output(self) -> str:
        """Everything it has printed so far."""
        return self._output.read_text()

    @property
    def errors(self) -> str:
        """What it has said on stderr so far."""
        return self._errors.read_text()

    @property
    def records(self) -> list[dict[str, Any]]:
        """The whole lines of JSON that it has printed so far."""
        with self._output.open("rb") as file:
            file.seek(self._read_up_to)
            whole = file.read().rpartition(b"\n")[0]
        if whole:
            self._read_up_to += len(whole) + 1
            self._records += map(orjson.loads, whole.split(b"\n"))
        return self._records

    def messages(self, source: str) -> list[str]:
        """The logs of one source that it has printed so far."""
        return [each["message"] for each in self.records if each["source_id"] == source and each["type"] == "log"]

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait(PATIENCE_S)


@contextmanager
def running_command(system: RunningUp, *words: str) -> Iterator[Command]:
    """Run a command for the time of the block; `standpipe emit -` gets a pipe, the others nothing to read."""
    output, errors = (system.data_dir.with_name(f"{words[0]}-{time.monotonic_ns()}.{end}") for end in ("out", "err"))
    with output.open("wb") as out, errors.open("wb") as err:
        process = subprocess.Popen(
            [*STANDPIPE, *words, "--data-dir", str(system.data_dir)], stdin=subprocess.PIPE, stdout=out, stderr=err
        )
    try:
        yield Command(process, output, errors)
    finally:
        process.kill()
        process.wait(PATIENCE_S)
        with suppress(BrokenPipeError):
            process.communicate()


def run_command(data_dir: Path, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    ended = subprocess.run(
        [*STANDPIPE, *words, "--data-dir", str(data_dir)],
        input=stdin,
        capture_output=True,
        timeout=2 * PATIENCE_S,
        check=False,
    )
    return subprocess.CompletedProcess(words, ended.returncode, ended.stdout.decode(), ended.stderr.decode())


class Load:
    """A `standpipe emit -` that is given one numbered line after the other, and sends so many a second."""

    def __init__(self, emit: Command, what: str) -> None:
        self.emit = emit
        self._what = what
        self._fed = 0
        self._enough = threading.Event()
        self._feeder = threading.Thread(target=self._feed)
        self._feeder.start()

    def lines(self, first: int | None = None) -> list[str]:
        """Return the lines that it was given, or the `first` of them."""
        return [self._line(number) for number in range(self._fed if first is None else first)]

    def finish(self) -> int:
        """Give it no more, and return its exit code: 0 when the agent has confirmed every line."""
        self._enough.set()
        self._feeder.join(PATIENCE_S)
        return self.emit.process.wait(PATIENCE_S)

    def _feed(self) -> None:
        with suppress(BrokenPipeError), self.emit.stdin as stdin:
            while not self._enough.is_set():
                lines = [self._line(number) for number in range(self._fed, self._fed + 10)]
                os.write(stdin.fileno(), "".join(f"{line}\n" for line in lines).encode())
                self._fed += len(lines)

    def _line(self, number: int) -> str:
        return f"{self._what} {number:<100}"  # long lines: few of them are in the pipe when enough were given


@contextmanager
def load(system: RunningUp, source: str, *, per_second: int, what: str = "line") -> Iterator[Load]:
    """Send numbered lines at a steady rate for the time of the block, or until it is finished."""
    flags = ("--source", source, "--rate", str(per_second))
    with running_command(system, "emit", *flags, "-") as emit:
        sending = Load(emit, what)
        try:
            yield sending
        finally:
            emit.process.kill()  # nothing that was finished
            sending.finish()


@contextmanager
def firehose(system: RunningUp, subscription: str, *flags: str) -> Iterator[Command]:
    """Read a subscription for the time of the block, which begins when every Doppler keeps envelopes for it."""
    name = f"firehose {subscription}"
    readers = len(accounts(system, "traffic_controller", name))
    with running_command(system, "firehose", "--subscription", subscription, "--json", *flags) as reader:
        assert eventually(lambda: len(accounts(system, "traffic_controller", name)) > readers), reader.errors
        assert eventually(lambda: is_subscribed(system, subscription)), reader.errors
        yield reader


def is_subscribed(system: RunningUp, subscription: str) -> bool:
    """Whether every Doppler keeps envelopes for a subscription."""
    return all(accounts(system, name, subscription) for name in dopplers(system))


def dopplers(system: RunningUp) -> list[str]:
    return [name for name in system.endpoints if name.startswith("doppler-") and not name.endswith(".admin")]


def accounts(system: RunningUp, component: str, name: str) -> list[dict[str, Any]]:
    """The accounts of one name that a component's book has now; none if it does not answer."""
    try:
        book = system.get(component, "/ledger")
    except httpx.HTTPError:
        return []
    return [account for account in book["accounts"] if account["account"] == name]


def is_settled(system: RunningUp, subscription: str, *, reader: str = FIREHOSE) -> bool:
    """Whether nothing is on its way from the agent to a subscription's readers; looks down the flow."""
    flow = [("metron", "agent"), *((name, subscription) for name in dopplers(system))]
    flow.append(("traffic_controller" if reader == FIREHOSE else "reverse_log_proxy", f"{reader} {subscription}"))
    for component, name in flow:
        found = accounts(system, component, name)
        if not found or any(account["held"] or account["in_flight"] for account in found):
            return False
    return True
