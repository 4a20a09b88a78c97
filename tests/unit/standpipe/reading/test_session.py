"""What goes wrong when the traffic controller is read, in the words and exit codes of the command line."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import typer

from plumbing.websocket_conversation import StreamEnded, StreamError, StreamRefused, StreamUnavailable
from plumbing.websocket_reader import ServerNotTrusted, Source
from standpipe.errors import AccessDenied, CommandFailed, NotRunning
from standpipe.reading.session import Reading, run_until_interrupted
from standpipe.system import System


@pytest.fixture
def system(certs_dir: Path, tmp_path: Path) -> System:
    (tmp_path / "certs").symlink_to(certs_dir)
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens" / "admin").write_text("a-token\n")
    return System(data_dir=tmp_path, endpoints={"traffic_controller": "127.0.0.1:8081"})


def _reading(system: System) -> Reading:
    return Reading(lambda: system, ("firehose", "f"), {})


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (StreamRefused(401, "You are not authorized."), AccessDenied, "refused: You are not authorized. (HTTP 401)"),
        (StreamRefused(404, "404 page not found"), NotRunning, "refused: 404 page not found (HTTP 404)"),
        (StreamUnavailable("Connection refused"), NotRunning, "does not answer: Connection refused"),
        (ServerNotTrusted("its certificate: expired"), NotRunning, "is not to be trusted: its certificate: expired"),
        (StreamEnded(1008, "slow consumer"), NotRunning, "the stream ended: slow consumer (code 1008)"),
    ],
)
def test_every_end_has_its_exit_code_and_its_words(
    system: System, error: StreamError, kind: type[CommandFailed], message: str
) -> None:
    with pytest.raises(kind) as failure, _reading(system).explained():
        raise error
    assert str(failure.value).startswith("traffic_controller at 127.0.0.1:8081")
    assert message in str(failure.value)


def test_where_nothing_runs_nothing_is_read(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match="nothing is running"):
        Reading(lambda: System.find(tmp_path), ("firehose", "f"), {})


async def test_the_name_of_a_stream_may_be_any_text(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    dialled: list[Source] = []

    async def dial(source: Source) -> trio.SSLStream[trio.SocketStream]:
        dialled.append(source)
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr("plumbing.websocket_reader._dial", dial)
    reading = Reading(lambda: system, ("apps", "a/b ?ä", "stream"), {"filter-type": "logs", "explain": "1"})
    with pytest.raises(StreamUnavailable):
        await anext(reading.arrivals(reconnect=False))
    source = dialled[0]
    assert (source.path, source.query) == ("/apps/a%2Fb%20%3F%C3%A4/stream", "filter-type=logs&explain=1")
    assert (source.host, source.port, source.server_name) == ("127.0.0.1", 8081, "trafficcontroller")
    assert source.token == "a-token"


async def test_a_system_that_is_gone_may_come_back(system: System) -> None:
    found: Iterator[System] = iter([system])
    reading = Reading(lambda: next(found, None) or System.find(system.data_dir), ("firehose", "f"), {})
    with pytest.raises(StreamUnavailable, match="nothing is running"):
        await anext(reading.arrivals(reconnect=True))


# --- signals --------------------------------------------------------------------------------------------------------


def test_work_that_ends_is_no_failure() -> None:
    run_until_interrupted(trio.lowlevel.checkpoint)


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_work_in_good_order(number: int, exit_code: int) -> None:
    tidied = []

    async def work() -> None:
        try:
            os.kill(os.getpid(), number)
            await trio.sleep_forever()
        finally:
            tidied.append(True)

    with pytest.raises(typer.Exit) as ended:
        run_until_interrupted(work)
    assert (ended.value.exit_code, tidied) == (exit_code, [True])
