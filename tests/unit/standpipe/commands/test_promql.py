"""`standpipe promql`, from the options to the output."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from standpipe.commands import promql as module
from standpipe.commands.promql import promql
from standpipe.errors import AccessDenied, CommandFailed
from tests.fakes.cursor_log_cache import CursorLogCache
from tests.unit.standpipe.reading.cache_in_memory import client_of
from tests.unit.standpipe.reading.paper import Paper

NOW = 1_763_726_400.5
QUERY = 'cpu{source_id="shop"}'
VECTOR = b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1.000,"2"]}]}}\n'
MATRIX = (
    b'{"status":"success","data":{"resultType":"matrix","result":'
    b'[{"metric":{"a":"b"},"values":[[0.000,"1"],[15.000,"2"]]}]}}\n'
)
NOTHING = b'{"status":"success","data":{"resultType":"vector","result":[]}}\n'


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch) -> CursorLogCache:
    cache = CursorLogCache(answers={"/api/v1/query": (200, VECTOR), "/api/v1/query_range": (200, MATRIX)})
    monkeypatch.setattr(module, "open_log_cache", lambda _: client_of(cache))
    monkeypatch.setattr("time.time", lambda: NOW)
    return cache


@pytest.fixture
def ask(cache: CursorLogCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the command and return its output."""
    (tmp_path / "endpoints.json").write_text('{"log_cache.rest": "127.0.0.1:8083"}')
    paper = Paper()
    monkeypatch.setattr(module, "Stdout", lambda: paper)

    def run(**options: Any) -> str:
        promql(QUERY, data_dir=tmp_path, **options)
        return b"".join(paper.writes).decode()

    return run


def _asked(cache: CursorLogCache) -> dict[str, str]:
    (query,) = cache.queries()
    return query


def test_now_is_a_table(ask: Any, cache: CursorLogCache) -> None:
    assert ask().splitlines() == ["a  value", "b      2"]
    assert _asked(cache) == {"query": QUERY}


def test_another_time_is_asked_for_in_seconds(ask: Any, cache: CursorLogCache) -> None:
    ask(at="5m")
    assert _asked(cache) == {"query": QUERY, "time": "1763726100.500"}


def test_a_span_of_time_in_a_pipe_is_csv(ask: Any, cache: CursorLogCache) -> None:
    assert ask(start="1h").splitlines()[0] == 'time,"{a=""b""}"'
    assert _asked(cache) == {"query": QUERY, "start": "1763722800.500", "end": "1763726400.500", "step": "30.000"}


def test_a_step_may_be_given(ask: Any, cache: CursorLogCache) -> None:
    ask(start="1h", end="30m", step="1m30s")
    assert (_asked(cache)["end"], _asked(cache)["step"]) == ("1763724600.500", "90.000")


def test_a_step_of_weeks_is_not_rounded(ask: Any, cache: CursorLogCache) -> None:
    ask(start="100d", end="1d", step="1234567s")
    assert _asked(cache)["step"] == "1234567.000"


def test_a_span_of_time_on_a_terminal_is_a_plot(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    text = ask(start="1h")
    assert QUERY in text.splitlines()[0]
    assert text.endswith('•  {a="b"}\n')


@pytest.mark.parametrize("options", [{}, {"start": "1h"}])
def test_json_is_the_answer_as_it_came(ask: Any, options: dict[str, str]) -> None:
    assert ask(as_json=True, **options).encode() == (MATRIX if options else VECTOR)


def test_nothing_is_told(ask: Any, cache: CursorLogCache, capfd: pytest.CaptureFixture[str]) -> None:
    cache.answers["/api/v1/query"] = (200, NOTHING)
    assert ask() == ""
    assert capfd.readouterr().err == "standpipe: no metric is in the log cache that this asks for\n"


@pytest.mark.parametrize("status", [400, 500])
def test_what_the_log_cache_has_against_a_query_is_told(ask: Any, cache: CursorLogCache, status: int) -> None:
    error = {"status": "error", "errorType": "bad_data", "error": "query does not request any source_ids"}
    cache.answers["/api/v1/query"] = (status, json.dumps(error).encode())
    with pytest.raises(CommandFailed, match="refused: query does not request any source_ids") as failed:
        ask()
    assert failed.value.exit_code == 1


def test_without_access_there_is_no_such_source(ask: Any, cache: CursorLogCache) -> None:
    cache.answers["/api/v1/query"] = (404, b"")
    with pytest.raises(AccessDenied, match="no such source, or no access"):
        ask()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"end": "now"}, "give --start"),
        ({"step": "1m"}, "give --start"),
        ({"at": "now", "start": "1h"}, "one time, or a span"),
        ({"start": "5m", "end": "1h"}, "ends before it begins"),
        ({"start": "1h", "step": "often"}, "no span of time"),
        ({"start": "1h", "step": "0"}, "takes time"),
        ({"at": "yesterday"}, "no time"),
    ],
)
def test_options_that_make_no_sense_are_wrong_usage(ask: Any, options: dict[str, str], message: str) -> None:
    with pytest.raises(typer.BadParameter, match=message):
        ask(**options)
