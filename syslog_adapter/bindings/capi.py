"""Bindings that a Cloud Controller knows (loggregator.md 5.1).

In:    pages of `GET /internal/v5/syslog_drain_urls`, over mTLS.
Out:   bindings, once all pages are there.
Drops: nothing: one page that fails, or makes no sense, fails all of them.
"""

from __future__ import annotations

import ssl

import httpx
import trio
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from syslog_adapter.binding import Binding
from syslog_adapter.bindings.errors import MAX_BINDINGS, SourceUnavailable
from syslog_adapter.bindings.wire import WireBinding

PATH = "/internal/v5/syslog_drain_urls"
MAX_PAGE_BYTES = 64 << 20
MAX_PAGES = 10_000


class _Page(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    results: list[WireBinding] | None = None
    next_id: int | None = Field(default=None, ge=0)


class CapiBindings:
    """What a Cloud Controller says at `url`; a connection is made for each time it is asked."""

    def __init__(
        self, url: str, trusting: ssl.SSLContext, *, batch_size: int, interval_s: float, timeout_s: float
    ) -> None:
        self.name = url
        self.interval_s = interval_s
        self._trusting = trusting
        self._batch_size = batch_size
        self._timeout_s = timeout_s

    async def read(self) -> tuple[Binding, ...]:
        """Read all pages; raises `SourceUnavailable`."""
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
        client = httpx.AsyncClient(
            verify=self._trusting,
            base_url=self.name,
            timeout=self._timeout_s,
            limits=limits,
            trust_env=False,
            headers={"Accept-Encoding": "identity"},
        )
        found: list[Binding] = []
        next_id, asked = 0, 0
        async with client:
            while next_id or not asked:
                page = await self._page(client, next_id)
                found += [binding for each in page.results or () for binding in each.bindings()]
                next_id, asked = page.next_id or 0, asked + 1
                if asked > MAX_PAGES or len(found) > MAX_BINDINGS:
                    raise SourceUnavailable(f"{self.name}: more than {MAX_PAGES} pages or {MAX_BINDINGS} bindings")
        return tuple(found)

    async def _page(self, client: httpx.AsyncClient, next_id: int) -> _Page:
        asked = {"batch_size": self._batch_size, "next_id": next_id}
        try:
            with trio.fail_after(self._timeout_s):
                async with client.stream("GET", PATH, params=asked) as response:
                    if response.status_code != httpx.codes.OK:
                        raise SourceUnavailable(f"{self.name}: answered {response.status_code}")
                    content = await self._body(response)
            return _Page.model_validate_json(content)
        except (httpx.HTTPError, OSError) as error:
            raise SourceUnavailable(f"{self.name}: {type(error).__name__}: {error}".rstrip(": ")) from error
        except trio.TooSlowError as error:
            raise SourceUnavailable(f"{self.name}: no page within {self._timeout_s:g} s") from error
        except ValidationError as error:
            raise SourceUnavailable(f"{self.name}: a page that makes no sense") from error

    async def _body(self, response: httpx.Response) -> bytes:
        """Read a page as it comes, and no more of it than there may be."""
        body = bytearray()
        with trio.CancelScope() as rest:  # an end from within: httpx's generators must not be left before theirs
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_PAGE_BYTES:
                    rest.cancel()
        if rest.cancel_called:
            raise SourceUnavailable(f"{self.name}: a page of more than {MAX_PAGE_BYTES} bytes")
        return bytes(body)
