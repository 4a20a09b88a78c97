import os
import signal

import pytest
import trio

from standpipe.supervisor.will import Will


async def test_the_first_signal_asks() -> None:
    will = Will()
    will.on_signal(signal.SIGTERM)
    assert (will.stop.is_set(), will.starting.cancel_called, will.running.cancel_called) == (True, True, False)
    assert will.exit_code(0) == 0


async def test_the_second_signal_insists() -> None:
    will = Will()
    will.on_signal(signal.SIGTERM)
    will.on_signal(signal.SIGINT)
    assert will.running.cancel_called
    assert will.exit_code(0) == 130


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_signals_are_heard_for_the_time_of_the_block(number: signal.Signals) -> None:
    def nobody(*_: object) -> None: ...

    before, will = signal.signal(number, nobody), Will()  # or else it may be ignored: tests, too, run under `nohup`
    try:
        with will.heard(), trio.fail_after(5):
            os.kill(os.getpid(), number)
            await will.stop.wait()
        assert signal.getsignal(number) is nobody
    finally:
        signal.signal(number, before)


async def test_one_who_outlives_the_terminal_stays_deaf_to_its_end() -> None:
    before, will = signal.signal(signal.SIGHUP, signal.SIG_IGN), Will()
    try:
        with will.heard():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
