"""Log lifecycle and faults: one short event with key=value fields on stderr, or a line of JSON.

`STANDPIPE_LOG=json` asks for JSON. What libraries log (gRPC, hypercorn) takes the same way, from warnings up.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

CUT = "(cut)"

_SECRET_KEY = re.compile(
    r"(^|[_-])(token|authorization|cookie|password|passwd|secret|(private|signing|api)_?key|pem)$", re.I
)
_SECRET_TEXT = re.compile(r"(?<=bearer )\S+|-----BEGIN [^-]*PRIVATE KEY-----.*?(-----END [^-]*-----|\Z)", re.I | re.S)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def set_up_logs(component: str, level: str = "info", *, stream: TextIO | None = None) -> None:
    """Send all logs of this process to `stream` (stderr), each with the component's name. Called once, at start."""
    stream = cast(TextIO, _Unbreakable(stream or sys.stderr))
    shared: list[Processor] = [
        _Named(component),
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper("iso", utc=True),
        structlog.processors.format_exc_info,
        cut_secrets,
    ]
    renderer = _renderer(stream)
    structlog.configure(
        processors=[*shared, *renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    without_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[without_meta, *renderer])
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))
    logging.captureWarnings(True)


def _renderer(stream: TextIO) -> list[Processor]:
    if os.environ.get("STANDPIPE_LOG") == "json":
        return [structlog.processors.JSONRenderer()]
    console = structlog.dev.ConsoleRenderer(
        colors=stream.isatty(), pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
    )
    return [_on_one_line, console]


class _Unbreakable:
    """A stream whose reader may go away: losing the log must not stop the delivery."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.isatty = stream.isatty

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()


class _Named:
    def __init__(self, component: str) -> None:
        self._component = component

    def __call__(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event.setdefault("component", self._component)
        return event


def cut_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Cut what must not be in a log: the net under code that should not have logged it."""
    return {key: _cut(key, value) for key, value in event.items()}


def _cut(key: str, value: Any) -> Any:
    if _SECRET_KEY.search(key) and value is not None:
        return CUT
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, Mapping):
        return {inner: _cut(str(inner), each) for inner, each in value.items()}
    if isinstance(value, list | tuple):
        return [_cut("", each) for each in value]
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    return _SECRET_TEXT.sub(CUT, text)


def _on_one_line(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Keep text from others from breaking the line or steering the terminal; tracebacks keep their lines."""
    event["logger"] = event.pop("component")  # the renderer's column for a name
    return {key: value if key == "exception" else _plain(value) for key, value in event.items()}


def _plain(value: Any) -> Any:
    return _CONTROL.sub(lambda one: repr(one[0])[1:-1], value.rstrip()) if isinstance(value, str) else value
