"""`standpipe up` from outside: what it starts, what it does about what dies, and how it ends."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import shutil
import signal
import socket
import stat
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.end_to_end.systems import PATIENCE_S, STANDPIPE, RunningUp, eventually, is_alive, session_of, up

LISTENING = (
    *("doppler-0", "doppler-1", "metron", "reverse_log_proxy", "traffic_controller"),
    *("log_cache-0", "event_store"),
)
COMPONENTS = (*LISTENING, "syslog_adapter-0")
"""All of them: the last has no port of its own, but those of its doors."""
DOORS = (
    *("metron.dropsonde", "metron.statsd", "reverse_log_proxy.gateway", "log_cache-0.rest"),
    "syslog_adapter-0.cache",
)
ONE = ("--only", "doppler-0", "--dopplers", "1")


@pytest.fixture
def data_dir(certs_dir: Path, tmp_path: Path) -> Path:
    """A directory that has certificates already: making them takes longest."""
    shutil.copytree(certs_dir, tmp_path / "data" / "certs")
    return tmp_path / "data"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningUp]:
    """A whole system, started where nothing was; tests look at it."""
    with up(tmp_path_factory.mktemp("system") / "data") as system:
        yield system


def test_every_component_is_there_and_well(running: RunningUp) -> None:
    assert sorted(running.endpoints) == sorted([*LISTENING, *DOORS, *(f"{name}.admin" for name in COMPONENTS)])
    assert all(running.get(name, "/healthz") == {"status": "ok"} for name in COMPONENTS)


def test_components_know_their_names(running: RunningUp) -> None:
    assert [running.get(name, "/ledger")["component"] for name in COMPONENTS] == list(COMPONENTS)


def test_what_is_secret_is_the_owners_alone(running: RunningUp) -> None:
    secret = (
        running.data_dir,
        *(running.data_dir / name for name in ("endpoints.json", "tokens/admin", "certs/ca.key")),
    )
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in secret)


def test_shows_where_everything_listens(running: RunningUp) -> None:
    assert all(address in running.output for address in running.endpoints.values())


def test_components_are_out_of_reach_of_the_terminal(running: RunningUp) -> None:
    pids = [running.pid(name) for name in COMPONENTS]
    assert [session_of(pid) for pid in pids] == pids


def test_a_second_up_is_refused_and_told_of_the_first(running: RunningUp) -> None:
    with up(running.data_dir, ready=False) as second:
        assert second.process.wait(PATIENCE_S) == 1
    assert f"process {running.process.pid}" in second.output
    assert running.pid("metron")


def test_stops_in_the_order_of_the_flow(data_dir: Path) -> None:
    flow = ("metron", "doppler-0", "traffic_controller", "log_cache-0")
    with up(data_dir) as system:
        pids = [system.pid(name) for name in COMPONENTS]
        assert system.end(signal.SIGINT) == 0
    stopping = [system.output.index(f"stopping [{name}]") for name in flow]
    stopped = [system.output.index(f"stopped [{name}]") for name in flow]
    assert stopping[0] < stopped[0] < stopping[1] < stopped[1] < stopping[2] < stopped[2] < stopping[3]
    assert not any(is_alive(pid) for pid in pids)
    assert not (data_dir / "endpoints.json").exists()


def test_without_a_log_cache_the_others_are_there(data_dir: Path) -> None:
    with up(data_dir, "--log-caches", "0") as system:
        without = [name for name in (*LISTENING, *DOORS) if not name.startswith("log_cache")]
        assert [name for name in sorted(system.endpoints) if not name.endswith(".admin")] == sorted(without)
        assert system.end() == 0


def test_without_an_event_store_the_others_are_there(data_dir: Path) -> None:
    with up(data_dir, "--no-event-store", "--only", "doppler,event_store") as system:
        assert sorted(system.endpoints) == ["doppler-0", "doppler-0.admin", "doppler-1", "doppler-1.admin"]
        assert system.end() == 0
    assert not (data_dir / "events").exists()


def test_two_log_caches_know_each_other(data_dir: Path) -> None:
    with up(data_dir, "--log-caches", "2", "--only", "log_cache") as system:
        nodes = ("log_cache-0", "log_cache-1")
        named = [*nodes, *(f"{node}.{door}" for node in nodes for door in ("admin", "rest"))]
        assert sorted(system.endpoints) == sorted(named)
        peers = [system.get(node, "/ledger")["accounts"][-1]["account"] for node in nodes]
        assert peers == [f"peer {system.endpoints[node]}" for node in reversed(nodes)]
        assert system.end() == 0


def test_one_of_several_log_caches_can_be_started_alone(data_dir: Path) -> None:
    with up(data_dir, "--log-caches", "2", "--only", "log_cache-1") as system:
        assert sorted(system.endpoints) == ["log_cache-1", "log_cache-1.admin", "log_cache-1.rest"]
        assert system.end() == 0


def test_what_dies_comes_back_where_it_was(data_dir: Path) -> None:
    with up(data_dir, *ONE) as system:
        address, pid = system.endpoints["doppler-0"], system.pid("doppler-0")
        os.kill(pid, signal.SIGKILL)

        assert eventually(lambda: system.pid("doppler-0") not in (0, pid))

        assert system.endpoints["doppler-0"] == address
        assert "was killed by SIGKILL" in system.output
        assert system.end() == 0


def test_the_last_book_of_what_dies_is_kept(data_dir: Path) -> None:
    with up(data_dir, *ONE) as system:
        book = system.get("doppler-0", "/ledger")
        assert eventually(lambda: time.time() - book["started_at"] > 3)  # it has been asked for its book by then
        os.kill(book["pid"], signal.SIGKILL)

        kept = data_dir / "ledger" / f"doppler-0-{book['incarnation']}.json"
        assert eventually(kept.exists)

        assert json.loads(kept.read_bytes()) == book


def test_a_wrong_setting_of_a_component_ends_everything_and_is_shown(data_dir: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[doppler]\ndiode_capacity = -1\n")
    with up(data_dir, *ONE, "--config", str(config), ready=False) as system:
        assert system.process.wait(PATIENCE_S) == 1
    assert f"file {config} table [doppler] key diode_capacity" in system.output


def test_a_port_in_use_ends_everything_and_is_shown(data_dir: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        port = occupied.getsockname()[1]
        config.write_text(f'[metron]\nlisten = "127.0.0.1:{port}"\nadmin_listen = "127.0.0.1:0"\n')
        flags = ("--only", "metron", "--ports", "default", "--config", str(config))
        with up(data_dir, *flags, ready=False) as system:
            assert system.process.wait(PATIENCE_S) == 1
    assert f"127.0.0.1:{port}" in system.output


def test_a_wrong_flag_is_refused_before_anything_starts(data_dir: Path) -> None:
    with up(data_dir, "--only", "dopler", ready=False) as system:
        assert system.process.wait(PATIENCE_S) == 2
    assert "there is no component 'dopler'" in system.output


def test_nothing_outlives_an_up_that_was_killed(data_dir: Path) -> None:
    with up(data_dir) as system:
        pids = [system.pid(name) for name in COMPONENTS]
        system.end(signal.SIGKILL)
        assert eventually(lambda: not any(is_alive(pid) for pid in pids))


def test_an_up_that_was_killed_can_be_started_again_at_once(data_dir: Path) -> None:
    with up(data_dir, *ONE) as system:
        address = system.endpoints["doppler-0"]
        system.end(signal.SIGKILL)
    with up(data_dir, *ONE, ready=False) as again:
        assert eventually(lambda: "ready" in again.output)
        again.wait_until_ready()
        assert again.endpoints["doppler-0"] != address
        assert again.end() == 0


def test_a_second_signal_ends_it_on_the_spot(data_dir: Path) -> None:
    with up(data_dir, *ONE) as system:
        pid = system.pid("doppler-0")
        os.kill(pid, signal.SIGSTOP)  # it will not drain
        system.process.terminate()
        assert eventually(lambda: "stopping [up]" in system.output)

        assert system.end() == 128 + signal.SIGTERM

        assert not is_alive(pid)


@pytest.mark.slow
def test_what_does_not_stop_is_killed_and_that_is_no_success(data_dir: Path) -> None:
    with up(data_dir, *ONE) as system:
        pid = system.pid("doppler-0")
        os.kill(pid, signal.SIGSTOP)
        assert system.end() == 1
    assert not is_alive(pid)
    assert "killed [up] after_s=8.0 child=doppler-0" in system.output


def test_stops_while_it_is_still_starting(data_dir: Path) -> None:
    with up(data_dir, ready=False) as system:
        assert eventually((data_dir / "up.lock").exists)
        assert eventually(lambda: (data_dir / "tokens" / "admin").exists())
        assert system.end() == 0
    assert not (data_dir / "endpoints.json").exists()


def test_a_terminal_gets_a_line_of_rates(data_dir: Path) -> None:
    with _on_a_terminal(*STANDPIPE, "up", "--data-dir", str(data_dir), "--ports", "auto", *ONE) as (process, terminal):
        seen = b""
        while b"dropped 0" not in seen:
            seen += os.read(terminal, 4096)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0


def test_goes_on_when_nobody_reads_what_it_says(data_dir: Path) -> None:
    command = [*STANDPIPE, "up", "--data-dir", str(data_dir), "--ports", "auto", *ONE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert eventually((data_dir / "endpoints.json").exists)
        process.terminate()
        assert process.wait(PATIENCE_S) == 0


@contextmanager
def _on_a_terminal(*command: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    environ = {**os.environ, "TERM": "xterm"}
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environ)
    os.close(theirs)
    try:
        yield process, ours
    finally:
        process.terminate()
        with suppress(OSError):  # the end of a terminal is an error
            while os.read(ours, 4096):
                pass
        process.wait(PATIENCE_S)
        os.close(ours)
