"""A Cloud Controller that knows which app drains where, for whoever shows a certificate."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from tests.fakes.https_server import HttpsServer, Mood, Reply, Seen

PATH = "/internal/v5/syslog_drain_urls"


class FakeCapiDrains(AbstractContextManager["FakeCapiDrains"]):
    """Hands out `results` by pages; `replies` has what is answered instead, by `next_id`."""

    def __init__(self, certs: Path) -> None:
        self.results: list[dict[str, Any]] = []
        self.replies: dict[int, Reply] = {}
        self._server = HttpsServer(certs, self._answer, leaf="nozzle", client_certs=True)
        self.url = self._server.url

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def bind(self, url: str, *apps: tuple[str, str]) -> None:
        """Bind apps, (app_id, hostname) each, to a URL."""
        bound = [{"app_id": app_id, "hostname": hostname} for app_id, hostname in apps]
        self.results.append({"url": url, "credentials": [{"cert": "", "key": "", "ca": "", "apps": bound}]})

    def be(self, mood: Mood) -> None:
        """Behave like this from the next request on."""
        self._server.mood = mood

    @property
    def asked(self) -> list[str]:
        """The queries that were asked."""
        return [seen.query for seen in self._server.requests]

    def _answer(self, seen: Seen) -> Reply:
        if seen.path != PATH:
            return Reply(404)
        query = parse_qs(seen.query)
        size, start = int(query["batch_size"][0]), int(query["next_id"][0])
        if start in self.replies:
            return self.replies[start]
        end = start + size
        return Reply(200, {"results": self.results[start:end], "next_id": end if end < len(self.results) else 0})
