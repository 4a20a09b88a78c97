"""Send points as JSON to `/api/put`, and count those of which OpenTSDB says that they failed."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from nozzles.http_sink import HttpRefused, HttpSink, Item, Outcome, deliver, envelopes, grouped
from nozzles.opentsdb.config import Config
from nozzles.opentsdb.points import points
from nozzles.sdk import Batch


class Http:
    """Writes to one OpenTSDB."""

    def __init__(self, sink: HttpSink, config: Config) -> None:
        self._sink = sink
        self._config = config
        self._max_bytes = config.http.max_body_bytes - 2 if config.http else 0  # two brackets

    async def write(self, batch: Batch) -> None:
        """Send a batch in as many requests as it takes; returns when OpenTSDB has taken what it will."""
        items: list[Item] = []
        no_number = 0
        for index, envelope in enumerate(batch):
            own = points(envelope, self._config)
            no_number += own == []
            if own:
                data = orjson.dumps([point.json() for point in own])[1:-1]
                items.append(Item((index,), data, entries=len(own)))
        groups = grouped(items, max_bytes=self._max_bytes, max_entries=self._config.points_per_request)
        if no_number:
            batch.refuse(no_number, "no_number")
        await deliver(batch, groups, self._send)

    async def _send(self, items: Sequence[Item]) -> Outcome:
        """Send one request. A point that failed counts as its envelope; which one it was, the summary does not tell."""
        body = b"[" + b",".join(item.data for item in items) + b"]"
        try:
            response = await self._sink.post(
                body, path="/api/put", query={"summary": "true"}, content_type="application/json"
            )
            answer = response.content
        except HttpRefused as error:  # with 400 it says how many of the points failed: the others are safe
            answer = error.answer
            if error.status != 400 or _failed(answer) is None:
                raise
        refused = min(_failed(answer) or 0, envelopes(items))
        return Outcome({"refused": refused} if refused else {})


def _failed(answer: bytes) -> int | None:
    """Read how many points failed from a summary; None when it is none."""
    try:
        summary = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return None
    failed = summary.get("failed") if isinstance(summary, dict) else None
    return failed if isinstance(failed, int) and failed >= 0 else None
