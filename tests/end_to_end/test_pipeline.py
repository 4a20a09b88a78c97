"""From `standpipe emit` to `standpipe firehose`, with everything in between in processes of its own."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.end_to_end.systems import (
    RunningUp,
    accounts,
    dopplers,
    eventually,
    firehose,
    load,
    run_command,
    running_command,
    up,
)

MANY = 100_000


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningUp]:
    """A whole system that every test here shares; each has a source and a subscription of its own."""
    with up(tmp_path_factory.mktemp("system") / "data") as system:
        yield system


def test_what_is_emitted_appears_in_the_firehose_and_in_what_is_read_of_its_source(running: RunningUp) -> None:
    with (
        firehose(running, "everything") as everything,
        running_command(running, "firehose", "--app", "app-1") as stream,
        running_command(running, "tail", "-f", "app-1") as tail,
    ):
        assert eventually(lambda: _unnamed_subscriptions(running) >= len(dopplers(running)))
        _emit(running, "app-1", "hello")
        _emit(running, "app-2", "hello too")

        assert eventually(lambda: len(everything.messages("app-1") + everything.messages("app-2")) == 2)
        assert eventually(lambda: "OUT hello\n" in stream.output)
        assert eventually(lambda: "OUT     hello\n" in tail.output)

    assert everything.messages("app-1") == ["hello"]
    assert everything.messages("app-2") == ["hello too"]
    assert "hello too" not in stream.output + tail.output


def test_of_many_lines_each_comes_exactly_once(running: RunningUp) -> None:
    lines = _lines(MANY)
    with firehose(running, "many") as reader:
        _emit_lines(running, "many", lines, rate=0)
        assert eventually(lambda: len(reader.messages("many")) >= MANY)
        assert Counter(reader.messages("many")) == Counter(lines)


def test_the_books_balance_when_all_is_delivered(running: RunningUp) -> None:
    with firehose(running, "balance") as reader:
        _emit_lines(running, "balance", _lines(1000))
        assert eventually(lambda: len(reader.messages("balance")) >= 1000)
        ledger = run_command(running.data_dir, "ledger", "--json")

    assert ledger.returncode == 0, ledger.stdout
    verdict = json.loads(ledger.stdout)
    assert verdict["balanced"]
    assert (verdict["problems"], verdict["remarks"]) == ([], [])


def test_two_readers_of_a_subscription_share_it_about_evenly(running: RunningUp) -> None:
    lines = _lines(MANY)
    with firehose(running, "shared") as one, firehose(running, "shared") as other:
        _emit_lines(running, "shared", lines)
        assert eventually(lambda: len(one.messages("shared") + other.messages("shared")) >= MANY)

        assert Counter(one.messages("shared") + other.messages("shared")) == Counter(lines)
        assert min(len(one.messages("shared")), len(other.messages("shared"))) >= MANY / 4


def test_what_a_killed_reader_had_not_printed_goes_to_the_others(running: RunningUp) -> None:
    with (
        firehose(running, "pair") as killed,
        firehose(running, "pair") as other,
        load(running, "pair", per_second=4_000) as sending,
    ):
        assert eventually(lambda: min(len(killed.messages("pair")), len(other.messages("pair"))) >= 2_000)
        killed.kill()
        with firehose(running, "pair") as successor:
            seen = (killed, other, successor)
            assert eventually(lambda: successor.messages("pair"))
            assert sending.finish() == 0, sending.emit.errors

            lines = set(sending.lines())
            assert eventually(lambda: lines <= {line for each in seen for line in each.messages("pair")})
    twice = _repeated(line for each in seen for line in each.messages("pair"))
    assert twice <= Counter(killed.messages("pair"))  # printed, and not confirmed when it died


def test_what_a_stopped_reader_has_not_read_goes_to_the_other_one_when_it_dies(running: RunningUp) -> None:
    lines = _lines(2_000)
    with firehose(running, "stopped") as killed, firehose(running, "stopped") as other:
        killed.signal(signal.SIGSTOP)
        _emit_lines(running, "stopped", lines)
        killed.kill()

        assert eventually(lambda: len(other.messages("stopped")) >= len(lines))
    assert Counter(other.messages("stopped")) == Counter(lines)
    assert killed.messages("stopped") == []


def test_a_reader_that_comes_back_gets_exactly_what_it_missed(running: RunningUp) -> None:
    before, meanwhile, after = (_lines(100, of) for of in ("before", "meanwhile", "after"))
    with firehose(running, "back") as killed:
        _emit_lines(running, "back", before)
        assert eventually(lambda: len(killed.messages("back")) == len(before))
        assert eventually(lambda: not _on_its_way(running, "back"))
        killed.kill()
    _emit_lines(running, "back", meanwhile)

    with firehose(running, "back") as back:
        assert eventually(lambda: len(back.messages("back")) >= len(meanwhile))
        _emit_lines(running, "back", after)
        assert eventually(lambda: len(back.messages("back")) >= len(meanwhile + after))
    assert sorted(back.messages("back")) == sorted(meanwhile + after)


def test_a_token_for_one_source_opens_that_and_nothing_else(running: RunningUp, tmp_path: Path) -> None:
    made = run_command(running.data_dir, "token", "create", "--source", "mine")
    assert made.returncode == 0, made.stderr
    token = tmp_path / "mine.token"
    token.write_text(made.stdout)

    def code(*words: str) -> int:
        return run_command(running.data_dir, *words, "--token", str(token)).returncode

    assert code("tail", "mine") == 0
    assert code("tail", "theirs") == 4
    assert code("firehose", "--app", "theirs", "--no-reconnect") == 4
    assert code("firehose", "--no-reconnect") == 4


@pytest.mark.parametrize(
    "words",
    [("emit", "--source", "a", "hello"), ("firehose",), ("tail", "a"), ("log-meta",), ("ledger",)],
    ids=lambda words: words[0],
)
def test_where_nothing_runs_every_command_says_so(words: tuple[str, ...], tmp_path: Path) -> None:
    ended = run_command(tmp_path, *words)
    assert ended.returncode == 3
    assert f"nothing is running at {tmp_path}" in ended.stderr


def _lines(count: int, what: str = "line") -> list[str]:
    return [f"{what} {number}" for number in range(count)]


def _repeated(lines: Iterable[str]) -> Counter[str]:
    """How many times too often each line is there."""
    return Counter({line: times - 1 for line, times in Counter(lines).items() if times > 1})


def _emit(system: RunningUp, source: str, text: str) -> None:
    ended = run_command(system.data_dir, "emit", "--source", source, text)
    assert ended.returncode == 0, ended.stderr


def _emit_lines(system: RunningUp, source: str, lines: list[str], rate: int = 50_000) -> None:
    text = "".join(f"{line}\n" for line in lines).encode()
    ended = run_command(system.data_dir, "emit", "--source", source, "--rate", str(rate), "-", stdin=text)
    assert ended.returncode == 0, ended.stderr


def _on_its_way(system: RunningUp, subscription: str) -> int:
    """Envelopes that Dopplers still hold for a subscription, or have sent without a confirmation."""
    each = [account for name in dopplers(system) for account in accounts(system, name, subscription)]
    return sum(account["held"] + account["in_flight"] for account in each)


def _unnamed_subscriptions(system: RunningUp) -> int:
    books = [system.get(name, "/ledger") for name in dopplers(system)]
    return sum(account["account"].startswith("unnamed-") for book in books for account in book["accounts"])
