"""The books balance when every envelope is somewhere, and only then."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbing.ledger import Account, Incarnation
from standpipe.books.balance import COLUMNS, Book, Reading, Verdict, as_object, judge, parse_book, rows

D0, D1 = "127.0.0.1:8082", "127.0.0.1:8083"
ADDRESSES = {"metron": "127.0.0.1:3458", "doppler-0": D0, "doppler-1": D1, "traffic_controller": "127.0.0.1:8081"}


def _book(component: str, *accounts: Account, gone: bool = False, life: str = "") -> Book:
    return Book(
        component=component,
        incarnation=life or component,
        pid=1,
        started_at=0.0,
        accounts=accounts,
        gone=gone,
    )


def _account(kind: str, received: int, delivered: int | None = None, *, name: str = "", **parts: Any) -> Account:
    """An account of which all is delivered, unless said otherwise."""
    rest = sum(parts.get("dropped", {}).values()) + sum(parts.get(part, 0) for part in ("skipped", "held", "in_flight"))
    return Account(
        account=name or kind,
        kind=kind,
        received=received,
        delivered=received - rest if delivered is None else delivered,
        **parts,
    )


def _agent(to_0: int, to_1: int = 0, *, in_flight: int = 0, held: int = 0, **how: Any) -> Book:
    """An agent that sent so many to each Doppler, the last of those to the first one unconfirmed."""
    return _book(
        "metron",
        _account("hop", to_0 + to_1 + held, name="agent", in_flight=in_flight, held=held),
        _account("link", to_0, name=f"link {D0}", in_flight=in_flight),
        _account("link", to_1, name=f"link {D1}"),
        **how,
    )


def _doppler(number: int, received: int, *, subscribed: int = 0, **parts: Any) -> Book:
    how = {key: parts.pop(key) for key in ("gone", "life") if key in parts}
    return _book(
        f"doppler-{number}",
        _account("ingress", received),
        _account("subscription", subscribed, name="cli-1", **parts),
        **how,
    )


def _controller(received: int, **how: Any) -> Book:
    return _book(
        "traffic_controller",
        _account("hop", received, name="all"),
        _account("reader", received, name="firehose cli-1"),
        **how,
    )


def _reading(*books: Book, unreachable: dict[str, str] | None = None, addresses: Any = ADDRESSES) -> Reading:
    return Reading(books=books, unreachable=unreachable or {}, addresses=addresses)


def _verdict(*books: Book, **parts: Any) -> Verdict:
    """Judge a system at rest: two readings of it are the same."""
    reading = _reading(*books, **parts)
    return judge(reading, reading)


# --- a system at rest -----------------------------------------------------------------------------------------------


def test_everything_that_was_sent_and_received_balances() -> None:
    verdict = _verdict(_agent(6, 4), _doppler(0, 6, subscribed=6), _doppler(1, 4, subscribed=4), _controller(10))
    assert verdict.balanced
    assert verdict.remarks == ()
    assert [crossing.name for crossing in verdict.crossings] == [
        "agents → doppler-0",
        "agents → doppler-1",
        "dopplers → readers",
    ]


def test_what_strangers_sent_or_took_is_in_no_other_book() -> None:
    doppler = _book(
        "doppler-0",
        _account("ingress", 10, outside=4),
        _account("subscription", 10, name="ours"),
        _account("subscription", 7, name="a stranger's", outside=7),
    )
    assert _verdict(_agent(6), doppler, _controller(10)).balanced
    assert not _verdict(_agent(6), doppler, _controller(11)).balanced


def test_what_was_dropped_skipped_and_held_is_accounted_for() -> None:
    parts = {"dropped": {"overflow": 3, "expired": 1}, "held": 2}
    assert _verdict(_agent(10, held=5), _doppler(0, 10, subscribed=10, **parts), _controller(4)).balanced


def test_what_is_in_flight_may_have_arrived_or_not() -> None:
    for arrived in (8, 9, 10):
        assert _verdict(_agent(10, in_flight=2), _doppler(0, arrived)).balanced


def test_an_account_that_misses_an_envelope_does_not_balance() -> None:
    verdict = _verdict(_book("doppler-0", _account("ingress", 10, 9)))
    assert verdict.problems == ("doppler-0, account 'ingress': 1 envelope unaccounted for",)


def test_an_account_that_made_envelopes_up_does_not_balance() -> None:
    verdict = _verdict(_book("doppler-0", _account("ingress", 10, 1_210)))
    assert verdict.problems == ("doppler-0, account 'ingress': 1,200 envelopes accounted for that never came",)


def test_a_negative_count_does_not_balance_even_if_the_sum_does() -> None:
    verdict = _verdict(_book("metron", _account("hop", 10, 12, name="agent", held=-2)))
    assert verdict.problems == ("metron, account 'agent': a count is negative",)


def test_an_envelope_lost_between_agent_and_doppler_is_missed() -> None:
    verdict = _verdict(_agent(10), _doppler(0, 9))
    assert verdict.problems == ("agents → doppler-0: 1 envelope confirmed and received by nobody",)


def test_an_envelope_that_reached_a_doppler_twice_is_noticed() -> None:
    verdict = _verdict(_agent(10, in_flight=2), _doppler(0, 11))
    assert verdict.problems == ("agents → doppler-0: 1 envelope received that nobody here sent, or twice",)


def test_what_was_sent_again_after_a_broken_stream_may_have_come_twice() -> None:
    link = _account("link", 10, name=f"link {D0}", returned=2)
    agent = _book("metron", _account("hop", 10, name="agent"), link)

    twice = _verdict(agent, _doppler(0, 12))
    assert twice.balanced
    assert twice.remarks == ("agents → doppler-0: 2 envelopes sent again after a broken stream, and so twice",)
    assert not _verdict(agent, _doppler(0, 13)).balanced


def test_a_loss_at_one_doppler_is_not_made_up_by_a_surplus_at_another() -> None:
    verdict = _verdict(_agent(5, 5), _doppler(0, 4), _doppler(1, 6))
    assert len(verdict.problems) == 2


def test_an_envelope_lost_between_doppler_and_traffic_controller_is_missed() -> None:
    verdict = _verdict(_doppler(0, 10, subscribed=10), _controller(9))
    assert verdict.problems == ("dopplers → readers: 1 envelope confirmed and received by nobody",)


def test_an_envelope_that_reached_a_traffic_controller_twice_is_noticed() -> None:
    verdict = _verdict(_doppler(0, 10, subscribed=10, in_flight=2), _controller(11))
    assert len(verdict.problems) == 1


def test_a_controllers_own_total_is_not_counted_with_its_parts() -> None:
    crossing = _verdict(_doppler(0, 10, subscribed=10), _controller(10)).crossings[-1]
    assert (crossing.delivered, crossing.received) == (10, 10)


def test_dopplers_that_the_links_do_not_tell_apart_are_taken_together() -> None:
    verdict = _verdict(_agent(6, 4), _doppler(0, 5), _doppler(1, 5), addresses={})
    assert verdict.balanced
    assert [crossing.name for crossing in verdict.crossings] == ["agents → dopplers"]


def test_dopplers_taken_together_miss_an_envelope_all_the_same() -> None:
    assert not _verdict(_agent(6, 4), _doppler(0, 5), _doppler(1, 4), addresses={}).balanced


def test_a_side_of_which_there_is_no_book_is_not_compared() -> None:
    assert _verdict(_agent(10)).crossings == ()
    assert _verdict(_doppler(0, 10)).crossings == ()


# --- a system in motion ---------------------------------------------------------------------------------------------


def test_books_read_at_different_moments_balance() -> None:
    """Within each reading the receiving side was read first, and much has passed since."""
    first = _reading(_agent(100, in_flight=10), _doppler(0, 50, subscribed=50), _controller(10))
    second = _reading(_agent(300, in_flight=10), _doppler(0, 250, subscribed=250), _controller(210))
    assert judge(first, second).balanced


@given(steps=st.lists(st.integers(0, 20), min_size=30, max_size=30), moments=st.lists(st.integers(0, 29), min_size=4))
def test_whenever_the_books_are_read_nothing_is_missed_that_is_not_missing(
    steps: list[int], moments: list[int]
) -> None:
    """An agent sends, a Doppler receives, confirmations come back, and meanwhile books are read one by one."""
    sent = received = confirmed = 0
    agents, dopplers = [], []
    for tick, step in enumerate(steps):
        sent += step * (tick % 3 == 0)
        received = min(sent, received + step * (tick % 3 == 1))
        confirmed = min(received, confirmed + step * (tick % 3 == 2))
        agents.append(_agent(sent, in_flight=sent - confirmed))
        dopplers.append(_doppler(0, received))
    one, other, third, fourth = sorted(moments)[:4]

    for agent_first in (True, False):
        first = (one, other) if agent_first else (other, one)
        second = (third, fourth) if agent_first else (fourth, third)
        readings = [_reading(agents[agent], dopplers[doppler]) for agent, doppler in (first, second)]
        assert judge(*readings).balanced


@given(confirmed=st.integers(0, 50), in_flight=st.integers(0, 50), received=st.integers(0, 100))
def test_at_rest_what_was_received_lies_between_what_was_confirmed_and_what_was_sent(
    confirmed: int, in_flight: int, received: int
) -> None:
    verdict = _verdict(_agent(confirmed + in_flight, in_flight=in_flight), _doppler(0, received))
    assert verdict.balanced is (confirmed <= received <= confirmed + in_flight)


# --- processes that died --------------------------------------------------------------------------------------------


def test_a_doppler_that_died_takes_part_with_its_last_book() -> None:
    assert _verdict(_agent(10), _doppler(0, 4, life="second"), _doppler(0, 6, life="first", gone=True)).remarks == ()


def test_what_passed_after_the_last_book_of_a_doppler_is_explained_by_its_death() -> None:
    verdict = _verdict(_agent(10), _doppler(0, 4, life="second"), _doppler(0, 5, life="first", gone=True))
    assert verdict.balanced
    assert verdict.remarks == (
        "agents → doppler-0: 1 envelope confirmed and received by nobody, around the death of doppler-0",
    )


def test_what_was_sent_again_after_a_doppler_died_is_explained_by_its_death() -> None:
    verdict = _verdict(_agent(10), _doppler(0, 6, life="second"), _doppler(0, 6, life="first", gone=True))
    assert verdict.balanced
    assert len(verdict.remarks) == 1


def test_the_death_of_one_doppler_explains_no_loss_at_another() -> None:
    dead = _doppler(0, 5, life="first", gone=True)
    assert not _verdict(_agent(5, 5), dead, _doppler(0, 0, life="second"), _doppler(1, 4)).balanced


def test_the_death_of_an_agent_explains_what_nobody_sent_and_no_loss() -> None:
    dead = _agent(10, life="first", gone=True)
    assert _verdict(_agent(0), dead, _doppler(0, 12)).balanced
    assert not _verdict(_agent(0), dead, _doppler(0, 9)).balanced


def test_the_death_of_a_traffic_controller_explains_a_loss_behind_the_dopplers_only() -> None:
    dead = _controller(9, life="first", gone=True)
    assert _verdict(_agent(10), _doppler(0, 10, subscribed=10), dead, _controller(0)).balanced
    assert not _verdict(_agent(11), _doppler(0, 10, subscribed=10), dead, _controller(0)).balanced


def test_what_a_dead_process_held_is_said() -> None:
    verdict = _verdict(_doppler(0, 10, subscribed=10, held=4, gone=True), _doppler(0, 0, life="second"))
    assert verdict.remarks == ("doppler-0 held 4 envelopes when it was last seen before it died",)


def test_what_a_dead_process_has_on_disk_is_not_said() -> None:
    sink = _account("sink", 10, 1, held=7, in_flight=2, on_disk=6)
    verdict = _verdict(_book("syslog_adapter-0", sink, replace(sink, kind="part"), gone=True))
    assert verdict.remarks == ("syslog_adapter-0 held 3 envelopes when it was last seen before it died",)


def test_what_a_dead_nozzle_was_to_be_given_again_is_not_said() -> None:
    sink = _account("sink", 10, 1, held=9, on_disk=3, unconfirmed=6)
    reader = _account("reader", 10, 10, name="dopplers")
    assert _verdict(_book("nozzles.file", reader, sink, gone=True)).remarks == ()

    stranger = replace(reader, outside=10)  # a firehose over WebSocket, which gives nothing again
    verdict = _verdict(_book("nozzles.file", stranger, sink, gone=True))
    assert verdict.remarks == ("nozzles.file held 6 envelopes when it was last seen before it died",)


# --- processes that do not answer -----------------------------------------------------------------------------------


def test_books_are_not_balanced_while_one_is_missing() -> None:
    verdict = _verdict(_agent(10), _doppler(0, 4), unreachable={"doppler-1": "Connection refused"})
    assert verdict.problems == ("doppler-1 does not answer (Connection refused)",)


def test_whoever_did_not_answer_the_first_time_is_missing_too() -> None:
    first = _reading(_doppler(0, 4), unreachable={"metron": "timed out"})
    assert judge(first, _reading(_agent(4), _doppler(0, 4))).problems == ("metron does not answer (timed out)",)


# --- reading and showing --------------------------------------------------------------------------------------------


def test_a_book_is_read_as_it_was_written() -> None:
    account = _account("subscription", 10, name="cli-1", dropped={"overflow": 3}, held=2)
    written = orjson.loads(orjson.dumps(Incarnation("doppler-0").book([account])))
    book = parse_book(written)
    assert (book.component, book.accounts, book.gone) == ("doppler-0", (account,), False)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {},
        {"component": "a", "incarnation": "b", "pid": 1, "started_at": 0, "accounts": [{"account": "a"}]},
        {"component": "a", "incarnation": "b", "pid": 1, "started_at": 0, "accounts": 5},
        {"component": "a", "incarnation": "b", "pid": None, "started_at": 0, "accounts": []},
        {
            "component": "a",
            "incarnation": "b",
            "pid": 1,
            "started_at": 0,
            "accounts": [{"account": "a", "kind": "hop", "received": "1", "delivered": 1}],
        },
    ],
)
def test_what_is_no_book_is_refused(answer: Any) -> None:
    with pytest.raises(ValueError, match=r"not a book"):
        parse_book(answer)


def test_an_account_is_a_row() -> None:
    account = _account("subscription", 1_010, name="cli-1", dropped={"overflow": 1_000, "expired": 0}, held=2)
    assert dict(zip(COLUMNS, rows(_book("doppler-0", account))[0], strict=True)) == {
        "account": "cli-1",
        "kind": "subscription",
        "received": "1,010",
        "delivered": "8",
        "dropped": "1,000 (overflow 1,000)",
        "skipped": "0",
        "held": "2",
        "in flight": "0",
        "balance": "0",
    }


def test_programs_get_all_of_it() -> None:
    reading = _reading(_agent(10), replace(_doppler(0, 9), gone=True), unreachable={"doppler-1": "gone fishing"})
    written = orjson.loads(orjson.dumps(as_object(reading, judge(reading, reading))))
    assert (written["balanced"], written["unreachable"]) == (False, {"doppler-1": "gone fishing"})
    assert [(book["component"], book["gone"]) for book in written["books"]] == [("metron", False), ("doppler-0", True)]
    assert written["books"][0]["accounts"][0]["balance"] == 0
    assert written["crossings"][0]["received"] == 9
