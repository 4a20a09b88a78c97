import fcntl
import json
import os
import stat
import subprocess
from pathlib import Path

import pytest

from standpipe.errors import CommandFailed
from standpipe.supervisor import data_dir as module
from standpipe.supervisor.data_dir import LOCK_FILE, announce, claim, furnish, withdraw
from standpipe.system import System, read_endpoints


def _hold(directory: Path, pid: int) -> int:
    """Lock a directory as a process with that number would have."""
    handle = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX)
    os.write(handle, b"%-20d\n" % pid)
    return handle


@pytest.fixture
def nobody() -> int:
    """The number of a process that is no more."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


async def test_makes_a_directory_for_its_owner_alone(tmp_path: Path) -> None:
    async with claim(tmp_path / "a" / "data"):
        assert stat.S_IMODE((tmp_path / "a" / "data").stat().st_mode) == 0o700


async def test_one_who_runs_is_named(tmp_path: Path) -> None:
    handle = _hold(tmp_path, os.getpid())
    with pytest.raises(CommandFailed, match=f"is running at {tmp_path} already, as process {os.getpid()}"):
        async with claim(tmp_path):
            pass
    os.close(handle)


async def test_a_directory_is_free_again_afterwards(tmp_path: Path) -> None:
    for _ in range(2):
        async with claim(tmp_path):
            pass


async def test_whoever_inherited_the_lock_holds_it(
    tmp_path: Path, nobody: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LET_GO_WITHIN_S", 0.2)
    handle = _hold(tmp_path, nobody)
    child = subprocess.Popen(["sleep", "60"], pass_fds=[handle])
    os.close(handle)
    with pytest.raises(CommandFailed, match=f"components that process {nobody} started are still running"):
        async with claim(tmp_path):
            pass
    child.kill()
    child.wait()


async def test_waits_for_the_components_of_one_who_was_killed(tmp_path: Path, nobody: int) -> None:
    handle = _hold(tmp_path, nobody)
    child = subprocess.Popen(["sleep", "0.2"], pass_fds=[handle])
    os.close(handle)
    async with claim(tmp_path):
        assert child.wait() == 0


async def test_clients_are_not_sent_to_a_system_that_was_killed(tmp_path: Path) -> None:
    announce(tmp_path, {"metron": "127.0.0.1:1"})
    async with claim(tmp_path):
        assert not (tmp_path / "endpoints.json").exists()


async def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CommandFailed, match=f"{tmp_path}/file"):
        async with claim(tmp_path / "file" / "data"):
            pass


def test_clients_find_what_was_announced_until_it_is_withdrawn(tmp_path: Path) -> None:
    announce(tmp_path, {"metron": "127.0.0.1:1"})
    assert read_endpoints(tmp_path) == {"metron": "127.0.0.1:1"}
    assert stat.S_IMODE((tmp_path / "endpoints.json").stat().st_mode) == 0o600

    withdraw(tmp_path)
    withdraw(tmp_path)

    assert not (tmp_path / "endpoints.json").exists()


def test_furnishing_gives_clients_all_they_need_and_is_done_once(tmp_path: Path) -> None:
    announce(tmp_path, {})
    furnish(tmp_path)
    system = System.find(tmp_path)
    token, cert = system.token(), system.tls().cert.read_bytes()
    furnish(tmp_path)
    assert (system.token(), system.tls().cert.read_bytes()) == (token, cert)


def test_furnishing_says_what_is_in_its_way(tmp_path: Path) -> None:
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs" / "ca.crt").write_text(json.dumps("no certificate"))
    with pytest.raises(CommandFailed, match=r"ca\.crt"):
        furnish(tmp_path)
