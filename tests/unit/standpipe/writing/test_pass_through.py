import os
import signal
import sys
from pathlib import Path

import pytest
import trio
import trio.testing

from standpipe.writing.pass_through import pass_through


class Heard:
    """What a command wrote, and where we were when it did."""

    def __init__(self) -> None:
        self.text = b""
        self.spoke = trio.Event()

    def __call__(self, chunk: bytes) -> None:
        self.text += chunk
        self.spoke.set()


async def run(*command: str, err: Heard | None = None) -> tuple[int, bytes]:
    out = Heard()
    return await pass_through(command, out, err or Heard()), out.text


async def test_output_is_passed_on_and_heard(capfd: pytest.CaptureFixture[str]) -> None:
    err = Heard()

    assert await run("sh", "-c", "echo out; echo err >&2", err=err) == (0, b"out\n")
    assert err.text == b"err\n"
    assert capfd.readouterr() == ("out\n", "err\n")


async def test_any_bytes_pass(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    every_byte = r"import os; os.write(1, bytes(range(256)))"

    assert await run(sys.executable, "-c", every_byte) == (0, bytes(range(256)))
    assert capfdbinary.readouterr().out == bytes(range(256))


async def test_everything_is_heard_of_a_large_output(capfd: pytest.CaptureFixture[str]) -> None:
    _, heard = await run("seq", "200000")

    assert heard == b"".join(b"%d\n" % n for n in range(1, 200_001))


async def test_the_exit_code_is_the_commands() -> None:
    assert await run("sh", "-c", "exit 3") == (3, b"")


async def test_a_signal_shows_in_the_exit_code() -> None:
    assert await run("sh", "-c", "kill -KILL $$") == (128 + signal.SIGKILL, b"")


async def test_a_command_that_is_not_there(capfd: pytest.CaptureFixture[str]) -> None:
    assert await run("./no-such-command") == (127, b"")
    assert capfd.readouterr().err == "standpipe run: ./no-such-command: No such file or directory\n"


async def test_a_command_that_is_not_executable(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text").write_text("just text")

    assert await run(str(tmp_path / "text")) == (126, b"")
    assert capfd.readouterr().err.endswith("Permission denied\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
async def test_a_signal_is_passed_on(number: signal.Signals, capfd: pytest.CaptureFixture[str]) -> None:
    script = f"trap 'echo caught; exit 9' {number.value}; echo ready; while :; do sleep 0.02; done"
    out = Heard()

    async def tell() -> None:
        await out.spoke.wait()
        signal.raise_signal(number)

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tell)
            code = await pass_through(["sh", "-c", script], out, Heard())
    assert (code, out.text) == (9, b"ready\ncaught\n")


async def test_an_ignored_signal_stays_ignored(capfd: pytest.CaptureFixture[str]) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert await run("sh", "-c", "kill -HUP $$; echo alive") == (0, b"alive\n")
    finally:
        signal.signal(signal.SIGHUP, before)


async def test_what_the_command_leaves_behind_does_not_hold_us_up(capfd: pytest.CaptureFixture[str]) -> None:
    with trio.fail_after(10):
        code, heard = await run("sh", "-c", "sleep 60 & echo $!")
    os.kill(int(heard), signal.SIGKILL)

    assert code == 0


async def test_where_nobody_reads_us_the_command_cannot_write_either(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        with trio.fail_after(10):
            code, _ = await run("yes")
    assert code == 128 + signal.SIGPIPE


async def test_with_our_output_closed_the_command_is_heard_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)

    assert await run("echo", "hello") == (0, b"hello\n")
