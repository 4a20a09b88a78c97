"""What the commands that read the traffic controller share: finding it, ending on a signal, naming what went wrong."""

from __future__ import annotations

import random
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import quote, urlencode

import trio
import typer

from plumbing.config import parse_listen
from plumbing.tls import TlsError, client_context
from plumbing.websocket_conversation import StreamEnded, StreamError, StreamRefused, StreamUnavailable
from plumbing.websocket_reader import ServerNotTrusted, Source, follow, read
from standpipe.errors import AccessDenied, CommandFailed, NotRunning
from standpipe.system import System

NAME = "traffic_controller"


class Reading:
    """A stream that a command wants to read: `path` names it, each part of it any text."""

    def __init__(self, find: Callable[[], System], path: tuple[str, ...], query: Mapping[str, str]) -> None:
        self._find = find
        self._path = "".join(f"/{quote(part, safe='')}" for part in path)
        self._query = urlencode(query)
        self._system = find()
        self._system.address(NAME)

    def arrivals(self, *, reconnect: bool) -> AsyncGenerator[list[bytes], None]:
        """Yield lists of messages; with `reconnect` a stream that ends is followed by another, with a notice."""
        return follow(self._source, _lost, random.Random()) if reconnect else read(self._source())

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn the end of a stream into the error of a command."""
        try:
            yield
        except StreamRefused as error:
            kind = AccessDenied if error.is_denied else NotRunning
            raise kind(f"{self._where} refused: {error}") from error
        except ServerNotTrusted as error:
            raise NotRunning(f"{self._where} is not to be trusted: {error}") from error
        except StreamUnavailable as error:
            raise self._system.unreachable(NAME, error) from error
        except StreamEnded as error:
            raise NotRunning(f"{self._where}: {error}") from error

    @property
    def _where(self) -> str:
        return f"{NAME} at {self._system.address(NAME)}"

    def _source(self) -> Source:
        """Look again where it is: a system that was started anew may listen elsewhere."""
        try:
            system = self._find()
            address = system.address(NAME)
        except NotRunning as error:
            raise StreamUnavailable(str(error)) from error
        self._system = system
        host, port = parse_listen(address)
        try:
            context = client_context(system.ca)
        except TlsError as error:
            raise CommandFailed(str(error)) from error
        return Source(
            host=host,
            port=port,
            server_name=system.server_name(NAME),
            tls=context,
            token=system.token(),
            path=self._path,
            query=self._query,
        )


def run_until_interrupted(work: Callable[[], Awaitable[None]]) -> None:
    """Run `work` until it ends, or until somebody asks it to: Ctrl-C is how a reader ends, and no failure."""
    try:
        ended_by = trio.run(_until_interrupted, work)
    except BaseExceptionGroup as group:
        if isinstance(failure := _alone(group), CommandFailed):
            raise failure from None
        raise
    if ended_by:
        raise typer.Exit(0 if ended_by == signal.SIGINT else 128 + ended_by)


def _lost(error: StreamError) -> None:
    notice(f"{error}; connecting again")


def notice(text: str) -> None:
    """Tell whoever watches something that is not part of the stream."""
    sys.stderr.write(f"standpipe: {text}\n")
    sys.stderr.flush()


async def _until_interrupted(work: Callable[[], Awaitable[None]]) -> int:
    heard: list[int] = []
    async with trio.open_nursery() as nursery:
        await nursery.start(_hear_signals, heard, nursery.cancel_scope)
        await work()
        nursery.cancel_scope.cancel()
    return heard[0] if heard else 0


def _alone(error: BaseException) -> BaseException:
    """Take an error out of the groups that nurseries made of it, if it is the only one in them."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


async def _hear_signals(
    heard: list[int], scope: trio.CancelScope, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for number in signals:
            heard.append(number)
            scope.cancel()
            return
