"""Routers with readers, and requests and envelopes to try them with."""

from __future__ import annotations

import random
from functools import partial

import hypothesis.strategies as st

from doppler.router import Router
from doppler.subscription import Reader
from envelope import kernel
from envelope.pb.loggregator_v2_pb2 import EgressBatchRequest, Envelope, EnvelopeBatch, Selector
from envelope.selectors import parse_request
from plumbing.diode import SharedDiode

SOURCES = ["", "app-1", "app-2"]


def make_router(*, linger_s: float = 30, max_subscriptions: int = 100, capacity: int = 10_000) -> Router:
    return Router(
        partial(SharedDiode, capacity, 1 << 30),
        linger_s=linger_s,
        max_subscriptions=max_subscriptions,
        now_ns=lambda: 0,
        rng=random.Random(1),
    )


def request(*selectors: Selector, shard: str = "", name: str = "", preferred: bool = True) -> bytes:
    return EgressBatchRequest(
        shard_id=shard, selectors=selectors, deterministic_name=name, use_preferred_tags=preferred
    ).SerializeToString()


def subscribe(router: Router, *selectors: Selector, shard: str = "", name: str = "") -> Reader:
    return router.subscribe(parse_request(request(*selectors, shard=shard, name=name)))


def logs(source: str = "") -> Selector:
    return Selector(source_id=source, log={})


def counters(source: str = "", name: str = "") -> Selector:
    return Selector(source_id=source, counter={"name": name})


def gauges(*names: str, source: str = "") -> Selector:
    return Selector(source_id=source, gauge={"names": names})


EVERYTHING = (logs(), counters(), gauges(), Selector(timer={}), Selector(event={}))


def log(source: str = "app-1", text: bytes = b"x") -> Envelope:
    return Envelope(source_id=source, log={"payload": text})


def counter(name: str, source: str = "app-1") -> Envelope:
    return Envelope(source_id=source, counter={"name": name, "delta": 1})


def gauge(*names: str, source: str = "app-1") -> Envelope:
    return Envelope(source_id=source, gauge={"metrics": {name: {"unit": "b", "value": 1} for name in names}})


def route(router: Router, *envelopes: Envelope) -> bytes:
    batch = EnvelopeBatch(batch=envelopes).SerializeToString()
    router.route(*kernel.admit(batch)[:3])
    return batch


def read(reader: Reader) -> list[Envelope]:
    parcels = reader.diode.take(1 << 30) if reader.diode else []
    reader.delivered(sum(parcel.envelopes for parcel in parcels))
    envelopes = EnvelopeBatch.FromString(b"".join(parcel.batch for parcel in parcels)).batch
    assert sum(parcel.envelopes for parcel in parcels) == len(envelopes)
    return list(envelopes)


envelopes = st.lists(
    st.one_of(
        st.builds(log, st.sampled_from(SOURCES), st.binary(max_size=5)),
        st.builds(counter, st.sampled_from("ab"), st.sampled_from(SOURCES)),
        st.builds(
            lambda names, source: gauge(*names, source=source), st.sets(st.sampled_from("ab")), st.sampled_from(SOURCES)
        ),
    ),
    max_size=12,
)
selectors = st.lists(
    st.one_of(
        st.builds(logs, st.sampled_from(SOURCES)),
        st.builds(counters, st.sampled_from(SOURCES), st.sampled_from(["", "a"])),
        st.builds(
            lambda names, source: gauges(*names, source=source),
            st.sets(st.sampled_from("ab")),
            st.sampled_from(SOURCES),
        ),
    ),
    max_size=4,
)
