"""What Dopplers select, filtered by the rest, is what the filter lets through: each once, in its source's order."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from envelope import kernel
from envelope.kinds import Kind
from envelope.pb.loggregator_v2_pb2 import Envelope
from envelope.selectors import make_request, parse_request
from nozzles.filters import ALL_TYPES, FilterSettings, make_filter
from nozzles.runner.selection import MOST_SELECTORS, selection_of
from tests.strategies import batch_of, batches, canonical, parsed
from tests.unit.doppler.routing import make_router, read

SOURCES = ["", "0", "-1", "elsewhere"]


def by_source(envelopes: Iterable[Envelope]) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = defaultdict(list)
    for envelope in envelopes:
        found[envelope.source_id].append(canonical(envelope))
    return found


def filtered(filter_settings: FilterSettings, batch: bytes) -> bytes:
    apply = make_filter(filter_settings)
    return apply(batch)[0] if apply and batch else batch


@settings(max_examples=100)
@given(
    batches(),
    st.lists(st.sampled_from(ALL_TYPES), min_size=1),
    st.lists(st.sampled_from(SOURCES)),
    st.lists(st.sampled_from(SOURCES), max_size=1),
    st.sampled_from(["", "shared"]),
)
def test_it_is_exact(batch: bytes, types: list[Any], sources: list[str], excluded: list[str], shard: str) -> None:
    wanted = FilterSettings(types=types, sources=sources, exclude_sources=excluded)
    selection = selection_of(wanted)
    router = make_router()
    reader = router.subscribe(parse_request(make_request(selection.kinds, shard_id=shard, sources=selection.sources)))
    clean, count, kinds, _ = kernel.admit(kernel.converge(batch, True))

    router.route(clean, count, kinds)

    typed, _ = kernel.select(clean, int(Kind.TYPED))
    left = filtered(selection.rest, batch_of(*read(reader)))
    assert by_source(parsed(left)) == by_source(parsed(filtered(wanted, typed)))


def test_without_a_filter_everything_is_asked_for() -> None:
    assert selection_of(FilterSettings()) == (Kind.TYPED, (), FilterSettings())


def test_what_the_dopplers_do_is_not_done_again() -> None:
    selection = selection_of(FilterSettings(types=["log"], sources=["a", "b", "a"]))

    assert selection == (Kind.LOG, ("a", "b"), FilterSettings())
    assert make_filter(selection.rest) is None


def test_what_selectors_cannot_say_is_left() -> None:
    rest = {"exclude_sources": ["b"], "tags": {"job": "web"}, "metric_names": "cpu.*", "sample": 0.5}

    assert selection_of(FilterSettings(types=["gauge"], **rest)).rest == FilterSettings(**rest)


def test_a_source_without_a_name_would_select_every_source_and_is_left() -> None:
    wanted = FilterSettings(types=["log"], sources=["", "a"])

    assert selection_of(wanted) == (Kind.LOG, (), FilterSettings(sources=["", "a"]))


def test_more_sources_than_a_doppler_should_be_asked_for_are_left() -> None:
    few = [f"app-{number}" for number in range(MOST_SELECTORS // 2)]
    wanted = FilterSettings(types=["log", "event"], sources=few)
    assert selection_of(wanted).sources == tuple(few)

    too_many = FilterSettings(types=["log", "event"], sources=[*few, "one more"])
    assert selection_of(too_many) == (Kind.LOG | Kind.EVENT, (), FilterSettings(sources=too_many.sources))
