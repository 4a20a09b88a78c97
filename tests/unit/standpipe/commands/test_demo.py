from dataclasses import replace
from pathlib import Path

from plumbing.ledger import Account
from standpipe.books.balance import Book, Reading, Verdict
from standpipe.commands.demo import Outcome, complaints, on_its_way
from standpipe.demo.this_machine import LOG_SOURCE, METRICS_SOURCE, Logs
from standpipe.demo.witness import Witness


def _reading(**numbers: int) -> Reading:
    dropped = {"overflow": numbers.pop("dropped", 0)}
    account = Account(account="agent", kind="hop", **{"received": 5, "delivered": 5, **numbers}, dropped=dropped)
    return Reading(books=(Book(component="metron", incarnation="a", pid=1, started_at=0.0, accounts=(account,)),))


def _outcome(reading: Reading | None = None, *problems: str) -> Outcome:
    witness = Witness("demo")
    witness.by_source.update([METRICS_SOURCE, LOG_SOURCE])
    return Outcome(
        logs=Logs(whole=(Path("/var/log/syslog"),)),
        written=0,
        witness=witness,
        reading=reading or _reading(),
        verdict=Verdict(crossings=(), problems=problems, remarks=()),
    )


def test_there_is_nothing_to_say_when_all_is_well() -> None:
    assert complaints(_outcome()) == []


def test_books_that_do_not_balance_are_a_failure() -> None:
    assert complaints(_outcome(None, "3 envelopes lost")) == ["3 envelopes lost"]


def test_a_drop_is_a_failure_even_if_it_is_counted() -> None:
    assert complaints(_outcome(_reading(received=7, dropped=2))) == ["2 envelopes were dropped"]


def test_what_never_arrives_is_a_failure() -> None:
    reading = _reading(received=10, held=3, in_flight=2)
    assert on_its_way(reading) == 5
    assert complaints(_outcome(reading)) == ["5 envelopes were not delivered within 15 s"]


def test_a_machine_that_says_nothing_is_a_failure() -> None:
    outcome = replace(_outcome(), witness=Witness("demo"))
    assert len(complaints(outcome)) == 2


def test_a_machine_without_logs_need_not_have_any() -> None:
    outcome = replace(_outcome(), logs=Logs())
    outcome.witness.by_source[LOG_SOURCE] = 0
    assert complaints(outcome) == []


def test_the_demos_own_lines_must_all_have_come() -> None:
    assert len(complaints(replace(_outcome(), written=2))) == 1
