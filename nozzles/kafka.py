"""Produce each envelope as a message to a Kafka topic, keyed by its source_id.

In:    batches.
Out:   messages of one topic, in the order of their source: all of a source go to one partition.
Drops: what is larger than a message may be, and what cannot be written as JSON: both are refused.

At least once. A batch is safe when every in-sync replica of the partitions has all of it (`acks=all`). The producer is
idempotent: what it sends again by itself is there once. A batch that the runner tries again may be there twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, Literal, Self

import structlog
import trio
from confluent_kafka import KafkaError, KafkaException, Producer
from pydantic import Field, PositiveFloat, model_validator

from nozzles.messages import Format, Message, messages_of
from nozzles.sdk import Batch, NozzleKind, SinkDenied, SinkUnavailable, Write
from nozzles.tls_pair import check_pair
from plumbing.config import PeerAddress, Section
from plumbing.secret_files import read_secret

log = structlog.get_logger(__name__)

_REFUSED = {KafkaError.MSG_SIZE_TOO_LARGE: "too_large", KafkaError.INVALID_RECORD: "invalid_record"}
_DENIED = {
    KafkaError._AUTHENTICATION,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.UNSUPPORTED_SASL_MECHANISM,
    KafkaError.ILLEGAL_SASL_STATE,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
}
_REMEDY = "mend sasl_mechanism, user and password_file, or what the brokers let that user do"
_POLL_S = 0.1  # how often a wait for reports looks whether it is cancelled


class Config(Section):
    """Where the topic is and how messages get there."""

    brokers: tuple[PeerAddress, ...] = Field(min_length=1)
    """Brokers to ask for all others, as host:port."""

    topic: str = Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")
    """The topic that the messages go to."""

    format: Format = "json"
    """What a message holds: the JSON of an envelope, or a serialised `loggregator.v2.Envelope`."""

    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = "lz4"
    """How messages are compressed on their way and in the topic."""

    linger_ms: float = Field(default=5.0, ge=0, le=60_000)
    """How long a request waits for more messages to join it."""

    max_message_bytes: int = Field(default=1_000_000, gt=0, le=1_000_000_000)
    """The largest message, key included; a larger one is refused here, whatever the brokers would take."""

    delivery_timeout_s: PositiveFloat = 60.0
    """How long the delivery of one batch may take before what is not delivered is tried again."""

    tls_ca: Path | None = None
    """PEM file of those who may sign the brokers' certificates; with it the connection is TLS."""

    tls_cert: Path | None = None
    """PEM file of the certificate that the brokers are shown, if they ask for one."""

    tls_key: Path | None = None
    """PEM file of its private key."""

    sasl_mechanism: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = ""
    """How `user` says who it is; empty means not at all."""

    user: str = ""
    """The name that the brokers ask for."""

    password_file: Path | None = None
    """File with the password of `user` (mode 0600)."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if len({bool(self.sasl_mechanism), bool(self.user), bool(self.password_file)}) > 1:
            raise ValueError("sasl_mechanism, user and password_file are given together or not at all")
        check_pair(self)
        return self


@asynccontextmanager
async def open_nozzle(config: Config) -> AsyncIterator[Write]:
    """Yield `write`; the brokers are asked with the first batch."""
    sink = _Sink(config, producer_settings(config))

    async def write(batch: Batch) -> None:
        await trio.to_thread.run_sync(sink.write, batch)

    try:
        yield write
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(sink.close)


def producer_settings(config: Config) -> dict[str, Any]:
    """Return the settings of librdkafka; the password is read here."""
    timeout_ms = int(config.delivery_timeout_s * 1000)
    settings: dict[str, Any] = {
        "bootstrap.servers": ",".join(config.brokers),
        "enable.idempotence": True,
        "acks": "all",
        "partitioner": "murmur2_random",  # the one of Kafka's own clients
        "compression.type": config.compression,
        "linger.ms": min(config.linger_ms, timeout_ms / 2),
        "message.max.bytes": max(1000, config.max_message_bytes),
        "message.timeout.ms": timeout_ms,
        "log_level": 2,  # of its lines to stderr: what goes wrong is told to `error_cb`
        "security.protocol": ("SASL_" if config.user else "") + ("SSL" if config.tls_ca else "PLAINTEXT"),
    }
    files = {
        "ssl.ca.location": config.tls_ca,
        "ssl.certificate.location": config.tls_cert,
        "ssl.key.location": config.tls_key,
    }
    settings |= {name: str(path) for name, path in files.items() if path}
    if config.password_file:
        settings |= {
            "sasl.mechanism": config.sasl_mechanism,
            "sasl.username": config.user,
            "sasl.password": read_secret(config.password_file),
        }
    return settings


class _Sink:
    """A producer, made when it is needed, and anew after it broke. Blocking: each call is one of a worker thread."""

    def __init__(self, config: Config, settings: dict[str, Any]) -> None:
        self._config = config
        self._settings = settings
        self._producer: Producer | None = None
        self._denial = ""  # what the brokers said in this attempt, if it was that they do not let us

    def write(self, batch: Batch) -> None:
        """Deliver a batch: return once every message is delivered or refused for ever."""
        messages, malformed = messages_of(batch.data, self._config.format)
        if self._producer is None:
            self._producer = Producer(self._settings, error_cb=self._heed)
        self._denial = ""
        delivery = _Delivery(self._producer, self._config, lambda: bool(self._denial))
        try:
            delivery.deliver(messages)
        finally:
            if delivery.broken or len(delivery.answers) < len(messages):
                self.close()  # nothing of this attempt is left to arrive beside the next one
        refused = {"malformed": malformed}
        unsafe, problem = [], ""
        for message in messages:
            error = delivery.answers.get(message.place, _NO_ANSWER)
            if isinstance(error, KafkaError) and error.code() in _REFUSED:
                reason = _REFUSED[error.code()]
                refused[reason] = refused.get(reason, 0) + 1
            elif error is not None:
                unsafe.append(message.place)
                problem = str(error)
                if isinstance(error, KafkaError) and error.code() in _DENIED:
                    self._denial = problem
        for reason, count in refused.items():
            if count:
                batch.refuse(count, reason)
        if unsafe and self._denial:
            raise SinkDenied(f"not delivered: {self._denial}; {_REMEDY}", left=batch.only(unsafe))
        if unsafe:
            raise SinkUnavailable(f"not delivered: {problem}", left=batch.only(unsafe))

    def _heed(self, error: KafkaError) -> None:
        """Hear of what is wrong with a connection; whoever waits for a delivery is told if that is we."""
        if error.code() in _DENIED:
            self._denial = error.str()
        log.info("kafka_fault", error=str(error), fatal=error.fatal())

    def close(self) -> None:
        """Give up what waits in the producer, if there is one."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.purge()
            producer.flush(1.0)


_NO_ANSWER = "no report"


class _Delivery:
    """The messages of one batch on their way, and what was reported of each: nothing wrong, or what."""

    def __init__(self, producer: Producer, config: Config, is_denied: Callable[[], bool]) -> None:
        self._producer = producer
        self._config = config
        self._is_denied = is_denied
        self._deadline = monotonic() + config.delivery_timeout_s + 5  # librdkafka's own timeout comes first
        self.answers: dict[int, KafkaError | None] = {}
        self.broken = False

    def deliver(self, messages: Sequence[Message]) -> None:
        """Hand over all messages, and wait for the report of each, or to hear that there will be none."""
        for message in messages:
            self._hand_over(message)
        while len(self.answers) < len(messages) and monotonic() < self._deadline and not self._is_denied():
            trio.from_thread.check_cancelled()
            self._producer.poll(_POLL_S)

    def _hand_over(self, message: Message) -> None:
        report = partial(self._report, message.place)
        if len(message.value) + len(message.source_id) > self._config.max_message_bytes:
            self.answers[message.place] = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
            return
        while monotonic() < self._deadline:
            try:
                self._producer.produce(
                    self._config.topic, value=message.value, key=message.source_id, on_delivery=report
                )
            except BufferError:  # the producer's queue is full
                trio.from_thread.check_cancelled()
                self._producer.poll(_POLL_S)
            except KafkaException as error:
                self._report(message.place, error.args[0], None)
                return
            else:
                self._producer.poll(0)
                return

    def _report(self, place: int, error: KafkaError | None, _: object) -> None:
        self.answers[place] = error
        self.broken = self.broken or (error is not None and error.code() not in _REFUSED)


kind = NozzleKind(Config, open_nozzle, "at-least-once")
