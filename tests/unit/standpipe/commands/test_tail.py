"""`standpipe tail`, from the options to the output."""

import json
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
import trio
import typer
from trio.testing import MockClock

from standpipe.commands import tail as module
from standpipe.commands.tail import Kind, tail
from standpipe.errors import AccessDenied, NotRunning
from standpipe.reading import follow as follow_module
from standpipe.reading.log_cache import LogCache
from standpipe.system import System
from tests.fakes.cursor_log_cache import CursorLogCache, counter, log
from tests.unit.standpipe.reading.cache_in_memory import client_of
from tests.unit.standpipe.reading.paper import Paper


class Setting:
    """A system whose log cache answers in memory, and what a tail prints of it."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.cache = CursorLogCache()
        self.paper = Paper()
        self.on_open: list[Callable[[], None]] = []

    @asynccontextmanager
    async def open(self, system: System) -> AsyncIterator[LogCache]:
        if self.on_open:
            self.on_open.pop(0)()
        async with client_of(self.cache) as cache:
            yield cache

    def tail(self, *arguments: Any, **options: Any) -> list[str]:
        """Run the command and return what its lines say."""
        tail("shop", *arguments, data_dir=self.data_dir, **options)
        return [" ".join(line.decode().split()[2:]) for line in self.paper.lines]


@pytest.fixture
def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setting:
    (tmp_path / "endpoints.json").write_text(json.dumps({"log_cache-0.rest": "127.0.0.1:8083"}))
    setting = Setting(tmp_path)
    monkeypatch.setattr(module, "Stdout", lambda: setting.paper)
    monkeypatch.setattr(module, "open_log_cache", setting.open)
    monkeypatch.setattr(follow_module, "open_log_cache", setting.open)
    monkeypatch.setattr(trio, "run", partial(trio.run, clock=MockClock(autojump_threshold=0)))
    return setting


def test_the_newest_ten_are_printed_oldest_first(setting: Setting) -> None:
    setting.cache.put(*(log(str(number), number) for number in range(15)))
    assert setting.tail() == [f"OUT {number}" for number in range(5, 15)]


def test_as_many_as_were_asked_for_are_printed(setting: Setting) -> None:
    setting.cache.put(*(log(str(number), number) for number in range(15)))
    assert setting.tail(2) == ["OUT 13", "OUT 14"]


def test_since_a_time_all_are_printed(setting: Setting) -> None:
    since = 1_763_726_400
    setting.cache.put(*(log(str(number), (since - 5 + number) * 10**9) for number in range(30)))
    assert setting.tail(since="2025-11-21T12:00:00Z") == [f"OUT {number}" for number in range(5, 30)]


def test_only_some_types_are_asked_for(setting: Setting) -> None:
    setting.cache.put(log("a", 1), counter("orders", 5, 2))
    assert setting.tail(kinds=[Kind.COUNTER, Kind.GAUGE], name_filter="^o") == ["COUNTER orders:5"]
    asked = setting.cache.asked[0].url.params
    assert (asked.get_list("envelope_types"), asked["name_filter"]) == (["COUNTER", "GAUGE"], "^o")


def test_json_is_each_envelope_as_it_came(setting: Setting) -> None:
    sent = [log("a\nb", 1, err=True), counter("orders", 2**63, 2)]
    setting.cache.put(*sent)
    setting.tail(as_json=True)
    assert [orjson.loads(line) for line in setting.paper.lines] == sent


def test_what_makes_no_sense_is_mentioned_at_the_end(setting: Setting, capfd: pytest.CaptureFixture[str]) -> None:
    setting.cache.put({"timestamp": "1"}, log("a", 2))
    assert setting.tail() == ["OUT a"]
    assert capfd.readouterr().err == "standpipe: 1 of the envelopes made no sense and are not shown\n"


def test_nothing_is_told(setting: Setting, capfd: pytest.CaptureFixture[str]) -> None:
    assert setting.tail() == []
    assert capfd.readouterr().err == "standpipe: the log cache has nothing of shop that was asked for\n"


def test_following_goes_on_until_an_interrupt(setting: Setting) -> None:
    def interrupt() -> None:
        setting.cache.put(log("c", 3))
        trio.lowlevel.spawn_system_task(_interrupt_when, lambda: len(setting.paper.lines) == 3)

    setting.cache.put(log("a", 1), log("b", 2))
    setting.on_open = [lambda: None, interrupt]
    with pytest.raises(typer.Exit) as ended:
        setting.tail(forever=True)
    assert ended.value.exit_code == 0
    assert [line.split()[-1] for line in setting.paper.lines] == [b"a", b"b", b"c"]


async def _interrupt_when(condition: Callable[[], bool]) -> None:
    while not condition():
        await trio.sleep(0.01)
    signal.raise_signal(signal.SIGINT)


def test_it_ends_without_a_word_when_nobody_reads(setting: Setting, capfd: pytest.CaptureFixture[str]) -> None:
    setting.paper.until = 1
    setting.cache.put(log("a", 1))
    setting.tail(forever=True)
    assert capfd.readouterr().err == ""


def test_without_access_there_is_no_such_source(setting: Setting) -> None:
    setting.cache.answers["/api/v1/read/shop"] = (404, b"")
    with pytest.raises(AccessDenied, match="no such source, or no access to it with this token"):
        setting.tail()


def test_a_system_without_a_log_cache_is_told(setting: Setting) -> None:
    (setting.data_dir / "endpoints.json").write_text("{}")
    with pytest.raises(NotRunning, match=r"no log_cache\.rest is running"):
        setting.tail()


def test_an_empty_name_is_wrong_usage() -> None:
    with pytest.raises(typer.BadParameter, match="must not be empty"):
        tail("")


def test_a_time_that_is_none_is_wrong_usage(setting: Setting) -> None:
    with pytest.raises(typer.BadParameter, match="no time") as wrong:
        setting.tail(since="yesterday")
    assert "--since" in wrong.value.format_message()
