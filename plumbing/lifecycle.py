"""The life of a component's process: settings, logs, start, ready, stop, drain, end.

The first SIGTERM or SIGINT sets `stop`, and the component drains; the second cancels it; a third ends the process on
the spot. SIGHUP is ignored: settings are read once. The end of the parent, who holds the other end of `--parent-fd`,
counts as a first signal, so that no orphans stay.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import sys
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any, Protocol, TypeAlias, TypeVar

import structlog
import trio

from plumbing.auth import TokensError
from plumbing.config import ConfigError, Settings, load
from plumbing.logs import set_up_logs
from plumbing.setting_sources import FlagParser
from plumbing.tls import TlsError, check_files

log = structlog.get_logger(__name__)

Ports: TypeAlias = Mapping[str, str]
"""Where a component listens once it has started: name → `host:port`."""

STOPPED = 0
NOT_STARTED = 1
MISCONFIGURED = 2
CRASHED = 70
CUT_SHORT = 128  # plus the number of the signal

_START_FAULTS = (OSError, TlsError, TokensError)

AnySettings = TypeVar("AnySettings", bound=Settings)
Told = TypeVar("Told", bound=Settings, contravariant=True)


class Serve(Protocol[Told]):
    """A component: accept until `stop` is set, deliver what is queued, then return."""

    def __call__(
        self, config: Told, *, stop: trio.Event, task_status: trio.TaskStatus[Ports] = ...
    ) -> Coroutine[Any, Any, None]:
        """Serve. `task_status.started` gets the true ports, and only once work is accepted."""


def run(serve: Serve[AnySettings], config_class: type[AnySettings], argv: Sequence[str] | None = None) -> int:
    """Live one component's life on the main thread; returns the exit code of the process."""
    name = config_class.table
    life = _Life()
    try:
        descriptors, flags = _inherited(sys.argv[1:] if argv is None else argv)
        config = load(config_class, flags, os.environ)
        name = config.name or name
        set_up_logs(name, config.log_level)
        check_files(config.tls)
        _allow_many_connections()
        return trio.run(_live, partial(serve, config, stop=life.stop), life, name, descriptors)
    except Exception as error:  # the end of the process: what is not named here is a crash
        return _post_mortem(name, error, life)


def _allow_many_connections() -> None:
    """Open as many files as the system lets us: its usual start, 1,024, is less than a component's own bounds."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class _Life:
    """What signals, and the end of the parent, do to a running component."""

    def __init__(self) -> None:
        self.stop = trio.Event()
        self.scope = trio.CancelScope()
        self.started = False
        self.cut_by = 0

    def ask(self, reason: str) -> None:
        """Let the component drain and return."""
        if not self.stop.is_set():
            log.info("stopping", reason=reason)
            self.stop.set()

    def on_signal(self, number: int) -> None:
        """Ask first, then insist."""
        name = signal.Signals(number).name
        if number == signal.SIGHUP:
            log.info("signal_ignored", signal=name)
        elif not self.stop.is_set():
            self.ask(name)
        elif not self.cut_by:
            log.warning("drain_cut_short", reason=name)
            self.cut_by = number
            self.scope.cancel()
        else:
            os._exit(CUT_SHORT + number)


async def _live(start: Any, life: _Life, name: str, descriptors: Mapping[str, int]) -> int:
    _hear_signals(life)
    async with trio.open_nursery() as watchers:
        if "parent" in descriptors:
            watchers.start_soon(_watch_parent, descriptors["parent"], life)
        with life.scope:
            async with trio.open_nursery() as component:
                ports: Ports = await component.start(start)
                life.started = True
                gc.freeze()  # it all stays: looking through it again and again took an event store 3 % of its CPU
                log.info("ready", **ports)
                if "ready" in descriptors:
                    _announce(descriptors["ready"], {"name": name, "pid": os.getpid(), "endpoints": dict(ports)})
        watchers.cancel_scope.cancel()
    log.info("stopped")
    return CUT_SHORT + life.cut_by if life.cut_by else STOPPED


def _hear_signals(life: _Life) -> None:
    """Take signals from here to the end of the process: one that comes after trio has ended changes nothing."""
    token = trio.lowlevel.current_trio_token()

    def hear(number: int, _: FrameType | None) -> None:
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(life.on_signal, number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, hear)


async def _watch_parent(descriptor: int, life: _Life) -> None:
    async with trio.lowlevel.FdStream(descriptor) as pipe:
        with suppress(trio.BrokenResourceError):
            while await pipe.receive_some():
                pass
    log.warning("parent_gone")
    life.ask("parent_gone")


def _announce(descriptor: int, line: Mapping[str, Any]) -> None:
    with suppress(BrokenPipeError), open(descriptor, "w", encoding="utf-8") as pipe:
        pipe.write(json.dumps(line) + "\n")


def _inherited(argv: Sequence[str]) -> tuple[dict[str, int], list[str]]:
    """Take the inherited descriptors, from flags or `STANDPIPE_*_FD`, and leave the other flags."""
    parser = FlagParser()
    for name in ("ready", "parent"):
        parser.add_argument(f"--{name}-fd", dest=name, default=os.environ.pop(f"STANDPIPE_{name.upper()}_FD", None))
    found, flags = parser.parse_known_args(argv)
    return {name: _descriptor(name, text) for name, text in vars(found).items() if text is not None}, flags


def _descriptor(name: str, text: str) -> int:
    try:
        os.set_inheritable(int(text), False)
    except (ValueError, OSError) as error:
        raise ConfigError(f"flag --{name}-fd: {text!r} is no open descriptor") from error
    return int(text)


def _post_mortem(name: str, error: Exception, life: _Life) -> int:
    causes = list(_causes(error))
    setting = next((cause for cause in causes if isinstance(cause, ConfigError)), None)
    if setting and not life.started:
        sys.stderr.write(f"{name}: {setting}\n")
        return MISCONFIGURED
    if not life.started and all(isinstance(cause, _START_FAULTS) for cause in causes):
        sys.stderr.write(f"{name}: cannot start: {_in_words(causes[0])}\n")
        return NOT_STARTED
    log.critical("crashed", exc_info=error)
    return CRASHED


def _causes(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _causes(each)
    else:
        yield error


def _in_words(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())
