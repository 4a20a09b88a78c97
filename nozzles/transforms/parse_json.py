"""A step that reads logs that are JSON objects: chosen keys become tags."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import orjson
from pydantic import Field, PositiveInt

from envelope.pb.loggregator_v2_pb2 import Envelope
from plumbing.config import Section


class ParseJson(Section):
    """Make tags of what a log says, when its payload is a JSON object. Every other envelope passes unchanged.

    Texts, numbers and booleans become tags; null, lists and objects do not. A tag the envelope has already stays as it
    is: an application cannot change what the platform says of it. The payload stays too.
    """

    step: Literal["parse_json"]

    keys: list[str] = Field(min_length=1, max_length=64)
    """The keys that become tags, of the outermost object."""

    prefix: str = Field(default="", max_length=256)
    """What the name of such a tag begins with, before the key."""

    max_payload_bytes: PositiveInt = 65_536
    """A longer payload is not looked at."""

    max_value_bytes: PositiveInt = 1024
    """A longer value is cut off after so many bytes, or before the character that begins there."""


def parse_json(settings: ParseJson) -> Callable[[Envelope], Envelope]:
    """Make the step."""
    names = [(key, settings.prefix + key) for key in settings.keys]

    def step(envelope: Envelope) -> Envelope:
        if envelope.WhichOneof("message") != "log" or len(envelope.log.payload) > settings.max_payload_bytes:
            return envelope
        found = _object(envelope.log.payload)
        tags = envelope.tags
        for key, name in names:
            text = _text(found.get(key))
            if text is not None and name not in tags:
                tags[name] = text.encode()[: settings.max_value_bytes].decode("utf-8", "ignore")
        return envelope

    return step


def _object(payload: bytes) -> dict[str, Any]:
    """Return the JSON object that a payload is, or an empty one."""
    if not payload.lstrip().startswith(b"{"):  # most logs are no JSON: they cost no attempt
        return {}
    try:
        found: dict[str, Any] = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return {}
    return found


def _text(value: object) -> str | None:
    if isinstance(value, str):
        return value
    return orjson.dumps(value).decode() if isinstance(value, int | float) else None
