"""Publish batches over one connection at a time, on an asyncio loop, and tell by the answers what is safe."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal, NamedTuple, TypeAlias

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext, api
from nats.js.errors import NotFoundError

from nozzles.messages import Message, messages_of
from nozzles.nats_jetstream.config import Config
from nozzles.sdk import Batch, SinkDenied, SinkUnavailable

log = structlog.get_logger(__name__)

_TOO_LARGE = 10054  # the API's error for a message beyond the stream's own max_msg_size
_DENIED = "Authorization Violation"  # as the server says it
_REMEDY = "mend credentials_file, token_file, or user and password_file, or what the server lets us do"
_CLOSING_S = 1.0  # a server that hangs keeps a connection from being closed politely
_MOST_SOURCE_CHARACTERS = 200  # of a subject, which is bounded by the server's control line of 4 KiB


Answer: TypeAlias = "asyncio.Future[dict[str, Any]]"
"""What the stream says to a message: the error, empty when it is stored."""


class _Outcome(NamedTuple):
    """What became of the messages of one attempt."""

    unsafe: list[int]
    """Places in the batch of those that are not known to be in the stream."""
    too_large: int
    problem: str


class Publisher:
    """Writes batches over one connection at a time; everything of it happens on the island."""

    def __init__(self, config: Config, options: Mapping[str, Any]) -> None:
        self._config = config
        self._options = options
        self._link: _Link | None = None

    async def write(self, batch: Batch) -> None:
        """Publish a batch: return once the stream has acknowledged all of it that it will ever take."""
        messages, malformed = messages_of(batch.data, self._config.format)
        try:
            async with asyncio.timeout(self._config.ack_timeout_s):
                link = await self._linked()
        except Exception as error:
            await self.close()
            message = f"cannot connect to NATS: {type(error).__name__}: {error}"
            if _DENIED in str(error):
                raise SinkDenied(f"{message}; {_REMEDY}") from error
            raise SinkUnavailable(message) from error
        outcome = await link.publish(batch.id, messages)
        if outcome.unsafe and batch.id:  # the ids name places in the whole batch: it is sent again as it is
            await self.close()
            raise SinkUnavailable(outcome.problem)
        for count, reason in ((outcome.too_large, "too_large"), (malformed, "malformed")):
            if count:
                batch.refuse(count, reason)
        if outcome.unsafe:
            await self.close()
            raise SinkUnavailable(outcome.problem, left=batch.only(outcome.unsafe))

    async def close(self) -> None:
        """End the connection, if there is one."""
        link, self._link = self._link, None
        if link is not None:
            with suppress(Exception):  # what can still go wrong concerns nobody
                async with asyncio.timeout(_CLOSING_S):
                    await link.client.close()

    async def _linked(self) -> _Link:
        if self._link is not None and self._link.lost.is_set():
            await self.close()
        if self._link is None:
            self._link = link = _Link(self._config)
            await link.client.connect(
                **self._options,
                name="standpipe",
                max_reconnect_attempts=1,  # of each server, before it is the runner's turn to wait
                reconnect_time_wait=0,
                allow_reconnect=False,  # what waits for a reconnection inside the client would be sent by us as well
                error_cb=_log_fault,
                closed_cb=link.on_closed,
                connect_timeout=math.ceil(self._config.ack_timeout_s),
            )
            await link.listen()
            if self._config.create_stream:
                await _create_stream(link.stream, self._config)
        return self._link


class _Link:
    """One connection, and whether it is lost."""

    def __init__(self, config: Config) -> None:
        self.client = Client()
        self.stream: JetStreamContext = self.client.jetstream()
        self.lost = asyncio.Event()
        self._config = config
        self._inbox = ""
        self._attempts = 0
        self._awaited: dict[str, Answer] = {}

    async def on_closed(self) -> None:
        """Take note that the connection is no more."""
        self.lost.set()

    async def listen(self) -> None:
        """Take the answers of the stream: each message names a subject of its own for its answer."""
        self._inbox = self.client.new_inbox()
        await self.client.subscribe(f"{self._inbox}.*", cb=self._on_answer)

    async def _on_answer(self, answer: Msg) -> None:
        awaited = self._awaited.pop(answer.subject.removeprefix(f"{self._inbox}."), None)
        if awaited is not None and not awaited.done():
            awaited.set_result(error_of(answer.data))

    async def publish(self, batch_id: str, messages: Sequence[Message]) -> _Outcome:
        """Publish messages together, and wait for what the stream says to each."""
        headers = [self._headers(batch_id, message) for message in messages]
        fits = [self._fits(*pair) for pair in zip(messages, headers, strict=True)]
        answers: dict[int, Answer] = {}
        problem = "the connection was lost"
        try:
            async with asyncio.timeout(self._config.ack_timeout_s):
                for message, header, sent in zip(messages, headers, fits, strict=True):
                    if sent:
                        answers[message.place] = await self._send(message, header)
                await self._answered(answers.values())
        except TimeoutError:
            problem = f"not acknowledged within {self._config.ack_timeout_s:g} s"
        except (nats.errors.Error, OSError) as error:
            problem = f"cannot publish: {type(error).__name__}: {error}"
        finally:
            self._awaited.clear()
        return _judged(
            [message.place for message, sent in zip(messages, fits, strict=True) if sent],
            answers,
            problem,
            fits.count(False),
        )

    async def _send(self, message: Message, headers: dict[str, str]) -> Answer:
        self._attempts += 1
        token = str(self._attempts)
        answer = self._awaited[token] = asyncio.get_running_loop().create_future()
        subject = subject_of(self._config.subject_prefix, message)
        await self.client.publish(subject, message.value, reply=f"{self._inbox}.{token}", headers=headers or None)
        return answer

    def _headers(self, batch_id: str, message: Message) -> dict[str, str]:
        named = {api.Header.MSG_ID.value: f"{batch_id}-{message.place}"} if batch_id else {}
        expected = {api.Header.EXPECTED_STREAM.value: self._config.stream} if self._config.stream else {}
        return named | expected

    def _fits(self, message: Message, headers: Mapping[str, str]) -> bool:
        """Tell whether the server takes a message of this size: it counts the headers, and hangs up over one more."""
        head = sum(len(f"{name}: {value}\r\n") for name, value in headers.items()) + len("NATS/1.0\r\n\r\n")
        return len(message.value) + head <= self.client.max_payload

    async def _answered(self, answers: Collection[Answer]) -> None:
        """Wait until every answer is there, or none will come any more."""
        if not answers:
            return
        waits = [asyncio.ensure_future(self.lost.wait()), asyncio.ensure_future(_all_done(answers))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


async def _all_done(answers: Collection[Answer]) -> Literal[True]:
    await asyncio.wait(answers)
    return True


def subject_of(prefix: str, message: Message) -> str:
    """Name the subject of a message: what a subject gives a meaning to never comes from a source_id."""
    source = re.sub(r"[^A-Za-z0-9_-]", "_", message.source_id.decode(errors="replace")[:_MOST_SOURCE_CHARACTERS])
    return f"{prefix}.{message.kind}.{source or '_'}"


def _judged(sent: Sequence[int], answers: Mapping[int, Answer], problem: str, too_large: int) -> _Outcome:
    """Tell by the answers what is safe, what is refused for ever, and what has to be sent again."""
    unsafe = []
    for place in sent:
        answer = answers.get(place)
        if answer is None or not answer.done():
            unsafe.append(place)
        elif error := answer.result():
            if error.get("err_code") == _TOO_LARGE:
                too_large += 1
            else:
                unsafe.append(place)
                problem = f"not taken: {error.get('description') or error}"
    return _Outcome(unsafe, too_large, problem)


def error_of(answer: bytes) -> dict[str, Any]:
    """Return what the stream's answer to a message says went wrong: nothing when the message is stored."""
    try:
        said = json.loads(answer)
        if said.get("error"):
            return dict(said["error"])
        return {} if said.get("stream") else {"description": "no stream listens to the subject"}
    except (ValueError, TypeError, AttributeError):
        return {"description": "no stream listens to the subject"}  # an empty answer is the server's own


async def _create_stream(stream: JetStreamContext, config: Config) -> None:
    with suppress(NotFoundError):
        await stream.stream_info(config.stream)
        return
    await stream.add_stream(
        api.StreamConfig(
            name=config.stream,
            subjects=[f"{config.subject_prefix}.>"],
            duplicate_window=config.duplicate_window_s,
            max_bytes=config.max_stream_bytes,
            max_age=config.max_age_s,
            num_replicas=config.replicas,
            storage=api.StorageType.FILE,
        )
    )
    log.info("nats_stream_created", stream=config.stream)


async def _log_fault(error: Exception) -> None:
    log.info("nats_fault", error=repr(error))
