from typing import Any

import pytest

from standpipe.supervisor.rates import Flow, Meter, Rates, flow_of


def _account(kind: str, received: int, delivered: int, held: int = 0, dropped: int = 0) -> dict[str, Any]:
    return {
        "kind": kind,
        "received": received,
        "delivered": delivered,
        "held": held,
        "in_flight": 0,
        "dropped": {"overflow": dropped},
    }


def _book(incarnation: str, *accounts: dict[str, Any]) -> dict[str, Any]:
    return {"incarnation": incarnation, "accounts": accounts}


def _doppler(incarnation: str, came: int, went: int, held: int = 0, dropped: int = 0) -> dict[str, Any]:
    subscription = _account("subscription", came, went, held, dropped)
    return _book(incarnation, _account("ingress", came, came), subscription)


def test_a_doppler_takes_in_at_its_door_and_gives_out_to_subscriptions() -> None:
    book = _book("a", _account("ingress", 10, 9, dropped=1), _account("subscription", 9, 5, held=2, dropped=2))
    assert flow_of(book) == Flow(came=10, went=5, dropped=3, held=2)


def test_parts_of_a_total_are_not_counted_twice() -> None:
    book = _book("a", _account("hop", 10, 8, held=2), _account("link", 4, 4), _account("reader", 4, 4))
    assert flow_of(book) == Flow(came=10, went=8, held=2)


def test_what_is_in_flight_is_held() -> None:
    account = {**_account("hop", 3, 1, held=1), "in_flight": 1}
    assert flow_of(_book("a", account)).held == 2


def test_what_nozzles_and_adapters_hold_and_drop_counts_and_parts_of_it_do_not_again() -> None:
    sink = {**_account("sink", 10, 4, held=4, dropped=1), "in_flight": 1, "on_disk": 3}
    part = {**sink, "kind": "part"}
    cache = _account("store", 100, 0, held=100)

    assert flow_of(_book("a", sink, part, part, cache)) == Flow(dropped=1, held=5, outlives=3)


def test_what_is_on_disk_does_not_die_with_a_component() -> None:
    meter = Meter()
    sink = {**_account("sink", 10, 4, held=6), "on_disk": 5}
    meter.note("nozzles.mine", "nozzles", _book("a", sink))
    meter.note("nozzles.mine", "nozzles", _book("b", _account("sink", 5, 0, held=5)))

    assert meter.rates(1.0) == Rates(0.0, 0.0, dropped=1, held=5)


@pytest.mark.parametrize(("outside", "dropped"), [(0, 1), (10, 4)])
def test_what_a_dead_nozzle_had_not_confirmed_comes_again_unless_strangers_sent_it(outside: int, dropped: int) -> None:
    meter = Meter()
    reader = {**_account("reader", 10, 10), "outside": outside}
    sink = {**_account("sink", 10, 4, held=6), "on_disk": 2, "unconfirmed": 3}
    meter.note("nozzles.mine", "nozzles", _book("a", reader, sink))
    meter.note("nozzles.mine", "nozzles", _book("b"))

    assert meter.rates(1.0).dropped == dropped


def test_rates_are_those_since_the_last_time() -> None:
    meter = Meter()
    meter.note("doppler-0", "doppler", _doppler("a", 100, 100))
    assert meter.rates(1.0) == Rates(0.0, 0.0, 0, 0)
    meter.note("doppler-0", "doppler", _doppler("a", 300, 200, held=90, dropped=10))
    assert meter.rates(3.0) == Rates(in_s=100.0, out_s=50.0, dropped=10, held=90)


def test_dopplers_are_added_up() -> None:
    meter = Meter()
    meter.rates(0.0)
    meter.note("doppler-0", "doppler", _doppler("a", 10, 10))
    meter.note("doppler-1", "doppler", _doppler("b", 20, 20))
    assert meter.rates(1.0).in_s == 30.0


def test_an_envelope_is_counted_where_it_passes_the_dopplers_and_not_again() -> None:
    meter = Meter()
    meter.rates(0.0)
    meter.note("doppler-0", "doppler", _doppler("a", 10, 10))
    meter.note("metron", "metron", _book("b", _account("hop", 10, 10)))
    assert meter.rates(1.0).in_s == 10.0


def test_without_dopplers_here_the_agent_is_the_measure() -> None:
    meter = Meter()
    meter.rates(0.0)
    meter.note("metron", "metron", _book("b", _account("hop", 10, 7, held=3)))
    assert meter.rates(1.0) == Rates(10.0, 7.0, 0, 3)


def test_drops_count_wherever_they_happen() -> None:
    meter = Meter()
    meter.note("doppler-0", "doppler", _doppler("a", 10, 9, dropped=1))
    meter.note("metron", "metron", _book("b", _account("hop", 10, 8, dropped=2)))
    assert meter.rates(0.0).dropped == 3


def test_a_restart_goes_on_counting_and_what_the_dead_held_is_lost() -> None:
    meter = Meter()
    meter.note("doppler-0", "doppler", _doppler("first", 100, 60, held=30, dropped=10))
    meter.rates(0.0)
    meter.note("doppler-0", "doppler", _doppler("second", 5, 4, held=1))
    assert meter.rates(1.0) == Rates(in_s=5.0, out_s=4.0, dropped=40, held=1)
