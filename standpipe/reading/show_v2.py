"""Show one v2 envelope, which is protojson, as a line for people. No I/O, no clock."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from envelope.errors import DecodeError
from standpipe.reading.show import PLAIN, Palette, in_columns

_KIND_WIDTH = 7
_NANOSECONDS_IN_MS = 10**6


def line(envelope: bytes, palette: Palette = PLAIN) -> str:
    """Write an envelope as one line without its end; `DecodeError` if it is none, or says nothing.

    Nothing in it can move a terminal's cursor.
    """
    try:
        value = orjson.loads(envelope)
        say = next(say for kind, say in _SAY.items() if value.get(kind) is not None)
        kind, text = say(value)
        who = {
            "timestamp": int(value.get("timestamp", 0)),
            "source_id": str(value.get("source_id", "")),
            "instance_id": str(value.get("instance_id", "")),
        }
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
        raise DecodeError(f"not a v2 envelope: {error}") from error
    return in_columns(who, f"{kind:<{_KIND_WIDTH}}", text, palette, alarming=kind == "ERR")


def _say_log(value: Mapping[str, Any]) -> tuple[str, str]:
    log = value["log"]
    text = b64decode(log.get("payload", "")).decode("utf-8", "backslashreplace")
    return "ERR" if log.get("type") in ("ERR", 1) else "OUT", text.rstrip("\r\n")


def _say_counter(value: Mapping[str, Any]) -> tuple[str, str]:
    counter = value["counter"]
    return "COUNTER", f"{counter.get('name', '')}:{counter.get('total', 0)}"


def _say_gauge(value: Mapping[str, Any]) -> tuple[str, str]:
    metrics = sorted(value["gauge"].get("metrics", {}).items())
    return "GAUGE", " ".join(
        f"{name}:{float(metric.get('value', 0)):.15g} {metric.get('unit', '')}".rstrip() for name, metric in metrics
    )


def _say_timer(value: Mapping[str, Any]) -> tuple[str, str]:
    timer = value["timer"]
    nanoseconds = int(timer.get("stop", 0)) - int(timer.get("start", 0))
    return "TIMER", f"{timer.get('name', '')} {nanoseconds / _NANOSECONDS_IN_MS:.15g} ms"


def _say_event(value: Mapping[str, Any]) -> tuple[str, str]:
    event = value["event"]
    return "EVENT", f"{event.get('title', '')}:{event.get('body', '')}"


_SAY: Mapping[str, Callable[[Mapping[str, Any]], tuple[str, str]]] = {
    "log": _say_log,
    "counter": _say_counter,
    "gauge": _say_gauge,
    "timer": _say_timer,
    "event": _say_event,
}
