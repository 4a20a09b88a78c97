import os
from pathlib import Path

import pytest

from standpipe.supervisor.child import Child, Surroundings
from standpipe.supervisor.rates import Rates
from standpipe.supervisor.screen import PLAIN_EVERY_S, Screen
from tests.unit.standpipe.supervisor.fakes import fake

RATES = Rates(in_s=1234.4, out_s=1000.0, dropped=7, held=12)


async def _bury(_: Child) -> None: ...


def _child(endpoints: dict[str, str]) -> Child:
    return Child(fake("", name="metron"), Surroundings(pass_on=lambda *_: None, bury=_bury, lifeline=0), endpoints)


def test_lines_of_components_go_to_stderr_with_their_names(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().pass_on("doppler-0", "ready")
    assert capsys.readouterr() == ("", "doppler-0          | ready\n")


def test_json_is_left_as_it_is(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDPIPE_LOG", "json")
    Screen().pass_on("doppler-0", '{"event": "ready"}')
    assert capsys.readouterr().err == '{"event": "ready"}\n'


def test_rates_are_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    with screen.status_line():
        for second in range(int(PLAIN_EVERY_S) + 1):
            screen.rates(RATES, float(second))
    assert capsys.readouterr().out == 2 * "in 1,234/s   out 1,000/s   dropped 7   held 12\n"


def test_the_table_names_every_port(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    Screen().ready([_child({"listen": "127.0.0.1:1", "statsd": "127.0.0.1:2", "admin": "127.0.0.1:3"})], tmp_path)
    shown = capsys.readouterr().out
    assert all(word in shown for word in (str(tmp_path), "metron", "127.0.0.1:1", "statsd 127.0.0.1:2", "127.0.0.1:3"))


def test_quiet_leaves_the_logs_alone(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    screen = Screen(quiet=True)
    screen.ready([_child({"listen": "127.0.0.1:1"})], tmp_path)
    screen.rates(RATES, 0.0)
    screen.pass_on("up", "stopping")
    assert capsys.readouterr() == ("", "up                 | stopping\n")


def test_a_reader_that_went_away_is_not_missed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", encoding="utf-8") as broken:
        monkeypatch.setattr("sys.stdout", broken)
        monkeypatch.setattr("sys.stderr", broken)
        screen = Screen()
        screen.ready([_child({})], tmp_path)
        screen.rates(RATES, 0.0)
        screen.pass_on("up", "stopping")
