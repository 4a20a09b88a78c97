"""What a query asks for: the meaning of the parameters of `GET /v2/read` (loggregator.md 3.2). No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs

from envelope.pb.loggregator_v2_pb2 import CounterSelector, EgressBatchRequest, GaugeSelector, Selector
from reverse_log_proxy.gateway.refusals import EMPTY_QUERY, MISSING_TYPE, NO_COUNTER_NAME, NO_GAUGE_NAME, TOO_MUCH

MAX_SELECTORS = 10_000
"""The most a query may ask for: its sources times its types and names."""

Parameters = Mapping[str, Sequence[str]]

_TYPES = ("log", "counter", "gauge", "timer", "event")
_NAMES = {"counter": "counter.name", "gauge": "gauge.name"}
UNDERSTOOD = frozenset({"shard_id", "deterministic_name", "source_id", *_TYPES, *_NAMES.values()})
"""Every parameter that means something here."""


@dataclass(frozen=True, slots=True)
class Query:
    """A request to the Dopplers; two queries for the same thing, in whatever order, have equal meanings."""

    request: bytes
    meaning: tuple[str, str, tuple[bytes, ...]]

    @property
    def is_shared(self) -> bool:
        """Whether it shares what it asks for with others, by a shard_id."""
        return bool(self.meaning[0])


def parse_parameters(query_string: bytes) -> Parameters:
    """Read the parameters; a name without a value has an empty one. The size of a request's head is their bound."""
    return parse_qs(query_string.decode("utf-8", "replace"), keep_blank_values=True)


def parse_query(parameters: Parameters) -> Query:
    """Make the request of a query; raises the `Refusal` to answer a bad one with."""
    if not parameters:
        raise EMPTY_QUERY
    if parameters.keys().isdisjoint({*_TYPES, *_NAMES.values()}):
        raise MISSING_TYPE
    if "counter.name" in parameters and not parameters["counter.name"]:
        raise NO_COUNTER_NAME
    if "gauge.name" in parameters and not parameters["gauge.name"]:
        raise NO_GAUGE_NAME
    if _count(parameters) > MAX_SELECTORS:
        raise TOO_MUCH
    request = EgressBatchRequest(
        shard_id=_first(parameters, "shard_id"),
        deterministic_name=_first(parameters, "deterministic_name"),
        use_preferred_tags=True,
        selectors=_selectors(parameters),
    )
    selectors = sorted(selector.SerializeToString(deterministic=True) for selector in request.selectors)
    meaning = (request.shard_id, request.deterministic_name, tuple(selectors))
    return Query(request.SerializeToString(), meaning)


def _count(parameters: Parameters) -> int:
    """Say how many selectors there will be, at most."""
    wanted = sum(len(parameters.get(name, ())) for name in _NAMES.values()) + len(parameters.keys() & {*_TYPES})
    return wanted * len(parameters.get("source_id", ("",)))


def _selectors(parameters: Parameters) -> Iterator[Selector]:
    """Ask every source for every type; names take the place of the bare type."""
    for source in parameters.get("source_id", ("",)):
        for kind in _TYPES:
            names = parameters.get(_NAMES.get(kind, ""), ())
            for name in names:
                yield _named(source, kind, name)
            if kind in parameters and not names:
                selector = Selector(source_id=source)
                getattr(selector, kind).SetInParent()
                yield selector


def _named(source: str, kind: str, name: str) -> Selector:
    if kind == "counter":
        return Selector(source_id=source, counter=CounterSelector(name=name))
    return Selector(source_id=source, gauge=GaugeSelector(names=name.split(",")))


def _first(parameters: Parameters, name: str) -> str:
    return parameters.get(name, ("",))[0]
