"""The kinds that post logs over HTTP, each with a sink that reads what its protocol says."""

from __future__ import annotations

import base64
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson

from envelope.pb.loggregator_v2_pb2 import Envelope, Gauge
from nozzles import datadog, elasticsearch, loki, splunk, webhook
from tests.contracts.nozzle_contract import Bench, Item, items
from tests.contracts.relayed import RelayedBench
from tests.fakes.http_sink_server import Answer, Posted, http_sink_server, secret_file


class PostBench(RelayedBench):
    """A sink that is posted to."""

    answer = b"HTTP/1.1 2"
    refusal = 0
    """The status that it answers, if it takes nothing."""

    @asynccontextmanager
    async def sink(self) -> AsyncIterator[str]:
        with http_sink_server(self.answer_to) as server:
            yield server.url.removeprefix("http://")

    @property
    def url(self) -> str:
        return f"http://{self.relay.address}"

    @asynccontextmanager
    async def refusing(self) -> AsyncIterator[None]:
        self.refusal = 503
        yield
        self.refusal = 0

    @asynccontextmanager
    async def denying(self) -> AsyncIterator[None]:
        self.refusal = 403
        yield
        self.refusal = 0

    @abstractmethod
    def answer_to(self, posted: Posted) -> Answer:
        """Take what is posted, or not."""


class HttpBench(PostBench):
    """A sink that takes whole bodies; when it refuses, it answers 503."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.items: list[Item] = []

    async def received(self) -> list[Item]:
        return list(self.items)

    def answer_to(self, posted: Posted) -> Answer:
        if self.refusal:
            return Answer(self.refusal)
        self.items += list(self.items_of(posted))
        return self.taken()

    @abstractmethod
    def items_of(self, posted: Posted) -> Iterator[Item]:
        """Read what a request says."""

    def taken(self) -> Answer:
        """Say that all of a request is safe."""
        return Answer(200)


class WebhookBench(HttpBench):
    kind = webhook.kind

    @property
    def settings(self) -> webhook.Config:
        return webhook.Config(url=self.url, max_envelopes=4)

    def items_of(self, posted: Posted) -> Iterator[Item]:
        yield from items(
            posted.json, lambda each: each["source_id"], lambda each: base64.b64decode(each["log"]["payload"])
        )


class SplunkBench(HttpBench):
    kind = splunk.kind
    formless = Envelope()

    @property
    def settings(self) -> splunk.Config:
        return splunk.Config(url=self.url, token_file=secret_file(self.directory, "the-token"))

    def items_of(self, posted: Posted) -> Iterator[Item]:
        events = map(orjson.loads, posted.body.splitlines())
        yield from items(events, lambda each: each.get("source"), lambda each: each["event"])


class LokiBench(HttpBench):
    kind = loki.kind
    formless = Envelope(gauge=Gauge())

    @property
    def settings(self) -> loki.Config:
        return loki.Config(url=self.url)

    def items_of(self, posted: Posted) -> Iterator[Item]:
        for stream in posted.json["streams"]:
            source = stream["stream"].get("source_id")
            yield from items(stream["values"], lambda _, source=source: source, lambda value: value[1])

    def taken(self) -> Answer:
        return Answer(204)


class DatadogBench(HttpBench):
    kind = datadog.kind
    formless = Envelope()

    @property
    def settings(self) -> datadog.Config:
        return datadog.Config(
            url=self.url, metrics_url=self.url, api_key_file=secret_file(self.directory, "the-key"), compression="zstd"
        )

    def items_of(self, posted: Posted) -> Iterator[Item]:
        logs = posted.json if isinstance(posted.json, list) else []  # else metrics
        yield from items(logs, lambda each: each.get("service"), lambda each: each["message"])


class ElasticsearchBench(PostBench):
    """An index knows each `_id` once, and its order is that of time; when it refuses, it takes every other document."""

    kind = elasticsearch.kind

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._documents: dict[str, Any] = {}

    @property
    def settings(self) -> elasticsearch.Config:
        return elasticsearch.Config(url=self.url)

    def answer_to(self, posted: Posted) -> Answer:
        lines = [orjson.loads(line) for line in posted.body.splitlines()]
        pairs = zip(lines[::2], lines[1::2], strict=True)
        statuses = [
            self._create(action["create"]["_id"], document, refusal=self.refusal if place % 2 == 1 else 0)
            for place, (action, document) in enumerate(pairs)
        ]
        errors = any(status != 201 for status in statuses)
        return Answer(200, {"errors": errors, "items": [{"create": {"status": status}} for status in statuses]})

    def _create(self, name: str, document: Any, *, refusal: int) -> int:
        if refusal:
            return refusal
        return 201 if self._documents.setdefault(name, document) is document else 409

    async def received(self) -> list[Item]:
        by_time = sorted(self._documents.values(), key=lambda document: str(document["@timestamp"]))
        return items(by_time, lambda each: each["source_id"], lambda each: each["message"])


BENCHES: tuple[type[Bench], ...] = (WebhookBench, SplunkBench, LokiBench, DatadogBench, ElasticsearchBench)
"""The kinds that are here."""
