"""A step that takes secrets out of logs, and of tags where asked: what a pattern matches becomes another text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pydantic import Field, field_validator

from envelope.pb.loggregator_v2_pb2 import Envelope
from nozzles.filters import Pattern, compiled
from plumbing.config import Section

MAX_MATCHES = 10_000
"""What matches more often in one text becomes the replacement alone, so that no text can grow without bound."""


class Redact(Section):
    """Replace what a pattern matches, wherever it stands: in a log's payload, and in the values of tags if asked."""

    step: Literal["redact"]

    pattern: Pattern
    """What is searched for. Begin it with `(?i)` to search without regard to case."""

    replacement: str = Field(default="[redacted]", max_length=256)
    """What takes the place of each match, as it stands."""

    logs: bool = True
    """Whether the payload of logs is searched."""

    tags: list[str] = Field(default_factory=list)
    """Tags whose values are searched too; `*` means every tag."""

    @field_validator("pattern")
    @classmethod
    def _matches_something(cls, pattern: str) -> str:
        if compiled(pattern).fullmatch(b"") is not None:
            raise ValueError("the pattern matches the empty text, and so everywhere")
        return pattern


def redact(settings: Redact) -> Callable[[Envelope], Envelope]:
    """Make the step. A text that matches more than 10,000 times becomes the replacement alone."""
    replaced = _replacing(settings)
    names, every = settings.tags, "*" in settings.tags

    def step(envelope: Envelope) -> Envelope:
        if settings.logs and envelope.WhichOneof("message") == "log":
            envelope.log.payload = replaced(envelope.log.payload)
        tags = envelope.tags
        for key in [key for key in (tags if every else names) if key in tags]:
            tags[key] = replaced(tags[key].encode()).decode("utf-8", "replace")  # `\C` matches a part of a character
        return envelope

    return step


def _replacing(settings: Redact) -> Callable[[bytes], bytes]:
    expression, replacement = compiled(settings.pattern), settings.replacement.encode()

    def replaced(text: bytes) -> bytes:
        result, matches = expression.subn(lambda _: replacement, text, MAX_MATCHES + 1)
        return replacement if matches > MAX_MATCHES else result

    return replaced
