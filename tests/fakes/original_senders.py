"""The original's programs that send, as a server meets them (loggregator.md 0.1, 1.1, 2.8)."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import grpc

from envelope.pb import loggregator_v2_pb2 as v2
from tests.fakes.original_program import RECEIVE_LIMIT, Program, Sending, method

BATCH = 100


class IngressClient(Program):
    """go-loggregator: batches of 100 on one `BatchSender`, opened when needed; events by the unary `Send`."""

    def __init__(self, address: str, certs: Path, **tags: str) -> None:
        super().__init__(certs, "metron")
        self._channel = self.dial(address)
        self._tags = tags
        self._waiting: list[v2.Envelope] = []
        self._sending: Sending | None = None

    def emit_log(self, text: bytes, *, stdout: bool = False, app: tuple[str, str, str] | None = None) -> None:
        """Emit a log: of stderr unless told otherwise; `app` is WithAppInfo: app id, source type, instance."""
        envelope = v2.Envelope(tags=self._tags, log={"payload": text, "type": "OUT" if stdout else "ERR"})
        if app is not None:
            envelope.source_id, envelope.tags["source_type"], envelope.instance_id = app
        self._emit(envelope)

    def emit_counter(self, name: str, *, delta: int = 1, total: int = 0) -> None:
        """Emit a counter; one with a total has no delta."""
        self._emit(v2.Envelope(tags=self._tags, counter={"name": name, "delta": 0 if total else delta, "total": total}))

    def emit_gauge(self, **metrics: float) -> None:
        """Emit a gauge of several metrics."""
        values = {name: v2.GaugeValue(unit="u", value=value) for name, value in metrics.items()}
        self._emit(v2.Envelope(tags=self._tags, gauge={"metrics": values}))

    def emit_timer(self, name: str, start: int, stop: int) -> None:
        """Emit a timer."""
        self._emit(v2.Envelope(tags=self._tags, timer={"name": name, "start": start, "stop": stop}))

    def emit_event(self, title: str, body: str) -> v2.SendResponse:
        """Emit an event and wait for the answer."""
        batch = v2.EnvelopeBatch(batch=[v2.Envelope(tags=self._tags, event={"title": title, "body": body})])
        answer: v2.SendResponse = method(self._channel, "/loggregator.v2.Ingress/Send", "unary_unary")(batch)
        return answer

    def flush(self) -> None:
        """Send what waits, on a new stream if the last one has failed: then this batch is lost, and no other."""
        batch, self._waiting = v2.EnvelopeBatch(batch=self._waiting), []
        if self._sending is None:
            self._sending = Sending(self._channel, "/loggregator.v2.Ingress/BatchSender")
            self.until_the_end(self._sending.forget)
        try:
            self._sending.send(batch)
        except (grpc.RpcError, EOFError):
            self._sending = None

    def close_send(self) -> v2.BatchSenderResponse:
        """Flush, half-close and wait for the answer."""
        self.flush()
        assert self._sending is not None
        sending, self._sending = self._sending, None
        answer: v2.BatchSenderResponse = sending.close_and_receive()
        return answer

    def _emit(self, envelope: v2.Envelope) -> None:
        envelope.timestamp = 7
        self._waiting.append(envelope)
        if len(self._waiting) >= BATCH:
            self.flush()


class AgentPool(Program):
    """One of an agent's two pools: five connections with a stream each; who fails is dialled anew at the next write."""

    def __init__(self, address: str, certs: Path, path: str, *, recycle_after: int = 100_000) -> None:
        super().__init__(certs, "doppler", RECEIVE_LIMIT)
        self._address = address
        self._path = path
        self._recycle_after = recycle_after
        self._links: list[tuple[grpc.Channel, Sending] | None] = [None] * 5
        self._writes = [0] * 5
        self.dials = 0

    def write(self, message: Any) -> bool:
        """Write on a random connection, or else on another; False when there is none, and the message is lost."""
        first = random.randrange(5)
        return any(self._write_on((first + at) % 5, message) for at in range(5))

    def connect(self) -> None:
        """Dial for every connection that there is not, as happens once a second."""
        for at, link in enumerate(self._links):
            if link is None:
                channel = self.dial(self._address)
                sending = Sending(channel, self._path)
                self.until_the_end(sending.forget)
                self._links[at] = channel, sending
                self._writes[at] = 0
                self.dials += 1

    def _write_on(self, at: int, message: Any) -> bool:
        link = self._links[at]
        if link is None:
            return False
        channel, sending = link
        try:
            sending.send(message)
        except (grpc.RpcError, EOFError):
            self._links[at] = None
            channel.close()
            return False
        self._writes[at] += 1
        if self._writes[at] >= self._recycle_after:
            self._links[at] = None
            sending.close_and_receive()
            channel.close()
        return True


class MetricEmitter(Program):
    """What routers, proxies and traffic controllers emit by: one `Sender` stream for each metric."""

    def __init__(self, address: str, certs: Path, source_id: str, origin: str) -> None:
        super().__init__(certs, "metron", RECEIVE_LIMIT)
        self._channel = self.dial(address)
        self._source_id = source_id
        self._tags = {"origin": origin, "metric_version": "2.0"}
        self._streams: dict[str, Sending] = {}

    def pulse(self, name: str, delta: int, **tags: str) -> None:
        """Send a counter, without its total, on this metric's own stream."""
        if name not in self._streams:
            self._streams[name] = self._open()
        self._streams[name].send(self._envelope(tags, counter=v2.Counter(name=name, delta=delta)))

    def gauge(self, name: str, value: float) -> None:
        """Send a gauge to two decimals on this metric's own stream."""
        if name not in self._streams:
            self._streams[name] = self._open()
        metric = v2.GaugeValue(unit="metric_unit", value=round(value, 2))
        self._streams[name].send(self._envelope({}, gauge=v2.Gauge(metrics={name: metric})))

    def event(self, title: str, body: str) -> v2.IngressResponse:
        """Send an event on a stream of its own, within a second."""
        sending = Sending(self._channel, "/loggregator.v2.Ingress/Sender", timeout=1.0)
        sending.send(self._envelope({}, event=v2.Event(title=title, body=body)))
        answer: v2.IngressResponse = sending.close_and_receive()
        return answer

    def _open(self) -> Sending:
        sending = Sending(self._channel, "/loggregator.v2.Ingress/Sender")
        self.until_the_end(sending.forget)
        return sending

    def _envelope(self, tags: dict[str, str], **message: Any) -> v2.Envelope:
        deprecated = {key: v2.Value(text=value) for key, value in {**self._tags, **tags}.items()}
        return v2.Envelope(timestamp=7, source_id=self._source_id, deprecated_tags=deprecated, **message)
