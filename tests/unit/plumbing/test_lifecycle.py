"""A component's process from outside: descriptors, signals, exit codes and what it says."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import pytest

pytestmark = pytest.mark.slow

PATIENCE_S = 30  # for a process that hangs; no test waits that long for one that does not

PROBE = """
import os, sys
import trio
from plumbing.config import ConfigError, Settings
from plumbing.lifecycle import run

class Config(Settings, table="doppler"):
    act: str = "drain"

def say(word):
    print(word, flush=True)

async def serve(config, *, stop, task_status):
    match config.act:
        case "refuse":
            raise ConfigError("flag --act: refuse is refused")
        case "break":
            raise RuntimeError("broken at start")
        case "slow":
            say("starting")
            await stop.wait()
    async with trio.open_nursery() as nursery:
        endpoints = {"listen": "127.0.0.1:1"}
        if config.act == "listen":
            from prometheus_client import CollectorRegistry
            from plumbing.admin import Health, serve_admin
            admin = lambda task_status: serve_admin(
                config.admin_listen, config.tls, registry=CollectorRegistry(), ledger=None, health=Health,
                task_status=task_status)
            endpoints["admin"] = await nursery.start(admin)
        task_status.started(endpoints)
        say("started")
        await stop.wait()
        say("draining")
        match config.act:
            case "stubborn":
                try:
                    await trio.sleep_forever()
                finally:
                    say("cut")
            case "stuck":
                with trio.CancelScope(shield=True):
                    await trio.sleep_forever()
            case "crash":
                raise OSError(5, "broken while draining")
        nursery.cancel_scope.cancel()
    say("drained")

sys.exit(run(serve, Config))
"""


class Probe:
    """One process that runs `PROBE`, with both of its pipes."""

    def __init__(self, certs: Path, *flags: str, descriptors_by_variable: bool = False) -> None:
        ready, ready_fd = os.pipe()
        parent_fd, self.parent = os.pipe()
        inherited = {"ready": ready_fd, "parent": parent_fd}
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("STANDPIPE_", "DOPPLER_"))}
        if descriptors_by_variable:
            environ |= {f"STANDPIPE_{name.upper()}_FD": str(fd) for name, fd in inherited.items()}
        else:
            flags = (*flags, *(f"--{name}-fd={fd}" for name, fd in inherited.items()))
        tls = (f"--tls-ca={certs}/ca.crt", f"--tls-cert={certs}/doppler.crt", f"--tls-key={certs}/doppler.key")
        self.process: subprocess.Popen[str] = subprocess.Popen(
            [sys.executable, "-c", PROBE, *tls, *flags],
            env=environ,
            pass_fds=list(inherited.values()),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for descriptor in inherited.values():
            os.close(descriptor)
        self.ready: IO[str] = open(ready, encoding="utf-8")  # noqa: SIM115 - `close` does

    def ready_line(self) -> dict[str, Any]:
        line: dict[str, Any] = json.loads(self.ready.readline())
        return line

    def hear(self, word: str) -> None:
        """Wait until the component has said this."""
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == f"{word}\n"

    def hear_log(self, event: str) -> None:
        """Wait until the component has logged this."""
        assert self.process.stderr is not None
        assert any(event in line for line in self.process.stderr)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> tuple[int, str, str]:
        """Wait for the end; returns the exit code and the rest of what was said and logged."""
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out, err

    def orphan(self) -> None:
        """Close this side's end of the pipe that stands for the parent."""
        with suppress(OSError):
            os.close(self.parent)

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        self.ready.close()
        self.orphan()


Start = Callable[..., Probe]


@pytest.fixture
def start(certs_dir: Path) -> Iterator[Start]:
    probes = []

    def start(*flags: str, certs: Path = certs_dir, **options: Any) -> Probe:
        probes.append(Probe(certs, *flags, **options))
        return probes[-1]

    yield start
    for probe in probes:
        probe.close()


def test_the_ready_line_says_who_and_where(start):
    probe = start("--name=doppler-1")
    line = {"name": "doppler-1", "pid": probe.process.pid, "endpoints": {"listen": "127.0.0.1:1"}}
    assert probe.ready_line() == line


def test_the_ready_descriptor_is_closed_after_its_line(start):
    probe = start()
    assert len(probe.ready.read().splitlines()) == 1


def test_descriptors_may_come_by_variable(start):
    probe = start(descriptors_by_variable=True)
    assert probe.ready_line()["name"] == "doppler"
    probe.orphan()
    assert probe.end()[0] == 0


def test_nobody_reading_the_ready_line_stops_nothing(start):
    probe = start()
    probe.ready.close()
    probe.hear("started")
    probe.send(signal.SIGTERM)
    assert probe.end()[0] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_lets_it_drain(start, number):
    probe = start()
    probe.ready_line()
    probe.send(number)
    code, said, log = probe.end()
    assert (code, said) == (0, "started\ndraining\ndrained\n")
    assert [word for word in ("ready", number.name, "stopped") if word not in log] == []


def test_the_second_signal_cuts_it_short(start):
    probe = start("--act=stubborn")
    probe.ready_line()
    probe.send(signal.SIGTERM)
    probe.hear("started")
    probe.hear("draining")
    probe.send(signal.SIGTERM)
    code, said, _ = probe.end()
    assert (code, said) == (128 + signal.SIGTERM, "cut\n")


def test_the_third_signal_ends_it_on_the_spot(start):
    probe = start("--act=stuck")
    probe.ready_line()
    probe.send(signal.SIGINT)
    probe.hear("started")
    probe.hear("draining")
    probe.send(signal.SIGINT)
    probe.hear_log("drain_cut_short")
    probe.send(signal.SIGINT)
    assert probe.end()[0] == 128 + signal.SIGINT


def test_a_hangup_is_ignored(start):
    probe = start()
    probe.ready_line()
    probe.send(signal.SIGHUP)
    probe.hear_log("signal_ignored")
    probe.send(signal.SIGTERM)
    assert probe.end()[0] == 0


def test_a_signal_during_the_start_is_remembered(start):
    probe = start("--act=slow")
    probe.hear("starting")
    probe.send(signal.SIGTERM)
    assert probe.end()[:2] == (0, "started\ndraining\ndrained\n")


def test_it_drains_when_its_parent_is_gone(start):
    probe = start()
    probe.ready_line()
    probe.orphan()
    code, said, log = probe.end()
    assert (code, said) == (0, "started\ndraining\ndrained\n")
    assert "parent_gone" in log


def test_a_parent_that_goes_while_it_drains_does_not_cut_it_short(start):
    probe = start("--act=stubborn")
    probe.ready_line()
    probe.send(signal.SIGTERM)
    probe.hear("started")
    probe.hear("draining")
    probe.orphan()
    probe.hear_log("parent_gone")
    probe.send(signal.SIGTERM)
    assert probe.end()[:2] == (128 + signal.SIGTERM, "cut\n")


def test_a_wrong_setting_ends_it_with_one_line(start):
    code, said, log = start("--drain-grace-s=0").end()
    assert (code, said) == (2, "")
    assert log == "doppler: flag --drain-grace-s: drain_grace_s: input should be greater than 0, not '0'\n"


def test_a_setting_that_the_component_refuses_ends_it_with_one_line(start):
    code, _, log = start("--act=refuse").end()
    assert (code, log) == (2, "doppler: flag --act: refuse is refused\n")


@pytest.mark.parametrize("descriptor", ["99", "x", "-1"])
def test_a_descriptor_that_is_not_open_is_a_wrong_setting(start, descriptor):
    code, _, log = start(f"--ready-fd={descriptor}", descriptors_by_variable=True).end()
    assert (code, log) == (2, f"doppler: flag --ready-fd: '{descriptor}' is no open descriptor\n")


def test_a_port_in_use_ends_it_with_one_line(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, _, log = start("--act=listen", f"--admin-listen={address}").end()
    assert (code, log) == (1, f"doppler: cannot start: admin_listen {address}: Address already in use\n")


def test_a_missing_certificate_ends_it_with_one_line(start, tmp_path):
    code, _, log = start(certs=tmp_path).end()
    assert (code, log) == (1, f"doppler: cannot start: {tmp_path}/ca.crt: No such file or directory\n")


def test_port_0_is_reported_as_the_true_port(start):
    host, _, port = start("--act=listen").ready_line()["endpoints"]["admin"].rpartition(":")
    socket.create_connection((host, int(port)), timeout=PATIENCE_S).close()


@pytest.mark.parametrize(("act", "words"), [("break", "broken at start"), ("crash", "broken while draining")])
def test_a_crash_is_logged_with_its_traceback(start, act, words):
    probe = start(f"--act={act}")
    probe.ready.readline()
    probe.send(signal.SIGTERM)
    code, _, log = probe.end()
    assert code == 70
    assert [part for part in ("crashed", "Traceback", words) if part not in log] == []


def test_help_ends_well(start):
    code, said, _ = start("--help").end()
    assert code == 0
    assert "--drain-grace-s" in said
