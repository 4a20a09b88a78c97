"""Ask the Cloud Controller for lists, with the reader's own token: what they may read, and which apps have a name.

In:    pages of JSON, `MAX_PAGE_BYTES` each; the next one is asked for at the same host, or not at all.
Out:   GUIDs.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from functools import partial
from typing import TypeAlias
from urllib.parse import quote, urlsplit

import anyio.to_thread
from pydantic import BaseModel, ConfigDict, ValidationError

from plumbing.auth.asking import Asker, Unanswered
from plumbing.auth.capi import GUID
from plumbing.auth.check_token import digest
from plumbing.auth.decisions import GRANTED, Access, Decision, Readable
from plumbing.auth.grants import INVALID
from plumbing.auth.remembered import Answer, Remembered

PER_PAGE = 5000
MAX_PAGES = 20
"""Of one list: a hundred thousand apps, or service instances. Who may read more is told nothing."""

MAX_PAGE_BYTES = 32 << 20
MAX_NAME = 255
"""The longest name of an app, in characters; a longer one is nobody's."""

MAX_LISTS = 16
"""Lists of sources that are remembered, of which each may take some megabytes."""

_NAMES_AT_ONCE = 100
_NAMES_LENGTH = 4000  # characters of a query: what any proxy on the way takes
_HREF = re.compile(r"https://[!-~]{1,16000}")

Names: TypeAlias = Mapping[str, frozenset[str]]


class Listings:
    """Knows what the Cloud Controller lists at its public address, and remembers it by token."""

    def __init__(
        self, asker: Asker, url: str, *, cache_s: float, max_cached: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._asker = asker
        self._url = url
        self._cache_s = cache_s
        self._lists: Remembered[bytes, Readable] = Remembered(min(max_cached, MAX_LISTS), clock=clock)
        self._names: Remembered[tuple[bytes, bytes], Names | Decision] = Remembered(max_cached, clock=clock)

    async def readable(self, token: str) -> Readable:
        """List the apps and service instances that a token shows; nobody can say without a public address."""
        if not self._url:
            return Readable(Decision(Access.UNKNOWN, "auth.capi_external_url is not set"))
        readable, cached = await self._lists.get(digest(token), partial(self._list, token))
        self._asker.tally.cached += cached
        return readable

    async def named(self, token: str, names: Collection[str]) -> Names | Decision:
        """Return the GUIDs of the apps with these names; a GUID is no name. Without a public address there are none."""
        asked = frozenset(name for name in names if 0 < len(name) <= MAX_NAME and not GUID.fullmatch(name))
        if not asked or not self._url:
            return {}
        key = digest(token), digest(repr(sorted(asked)))  # as they are, a thousand names take up to a megabyte
        found, cached = await self._names.get(key, partial(self._find, token, asked))
        self._asker.tally.cached += cached
        return found

    async def _list(self, token: str) -> Answer[Readable]:
        guids: set[str] = set()
        try:
            for kind in ("apps", "service_instances"):
                async for page in self._pages(token, f"/v3/{kind}?per_page={PER_PAGE}"):
                    guids.update(each.guid for each in page.resources)
        except _Refused as refused:
            return Answer(Readable(refused.decision))
        return Answer(Readable(GRANTED, frozenset(guids)), self._cache_s)

    async def _find(self, token: str, names: frozenset[str]) -> Answer[Names | Decision]:
        found: defaultdict[str, set[str]] = defaultdict(set)
        try:
            for question in _questions(names):
                async for page in self._pages(token, f"/v3/apps?names={question}&per_page={PER_PAGE}"):
                    for each in page.resources:
                        found[each.name].add(each.guid)
        except _Refused as refused:
            return Answer(refused.decision)
        return Answer({name: frozenset(guids) for name, guids in found.items() if name in names}, self._cache_s)

    async def _pages(self, token: str, target: str) -> AsyncIterator[_Page]:
        """Yield one page after the other; raise `_Refused`."""
        url: str | None = self._url + target
        for _ in range(MAX_PAGES):
            if url is None:
                return
            try:
                page = await self._page(token, url)
                url = _following(self._url, page)
            except Unanswered as error:
                raise _Refused(Decision(Access.UNKNOWN, str(error))) from error
            yield page
        if url is not None:
            raise _Refused(Decision(Access.UNKNOWN, f"a list of more than {MAX_PAGES} pages"))

    async def _page(self, token: str, url: str) -> _Page:
        headers = {"Authorization": f"bearer {token}"}
        body = await self._asker.ask("GET", url, _read, headers=headers, max_bytes=MAX_PAGE_BYTES)
        try:
            return await anyio.to_thread.run_sync(_Page.model_validate_json, body)
        except ValidationError as error:
            self._asker.tally.failed += 1
            raise Unanswered("a page that is no list") from error


class _Refused(Exception):
    """There is no list for this reader: the decision says why."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(decision.reason)
        self.decision = decision


class _Said(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, hide_input_in_errors=True)


class _Link(_Said):
    href: str


class _Pagination(_Said):
    next: _Link | None = None


class _Resource(_Said):
    guid: str
    name: str = ""


class _Page(_Said):
    """As much of a page as matters; pydantic skips the rest without making objects of it."""

    pagination: _Pagination
    resources: list[_Resource]


def _read(status: int, body: bytes) -> bytes:
    if status == 401:
        raise _Refused(Decision(Access.DENIED, INVALID))
    if status in (403, 404):
        raise _Refused(Decision(Access.HIDDEN, f"the Cloud Controller says {status}"))
    if status != 200:
        raise Unanswered(f"an answer with the status {status}")
    return body


def _following(url: str, page: _Page) -> str | None:
    """Return the address of the page behind this one: it must be where the list is, for the token travels to it."""
    if page.pagination.next is None:
        return None
    href = page.pagination.next.href
    if not _HREF.fullmatch(href) or _host(href) != _host(url):
        raise Unanswered("the next page of a list is said to be at another host")
    return href


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).netloc.lower().removesuffix(":443")
    except ValueError:
        return None


def _questions(names: Collection[str]) -> Iterator[str]:
    """Write names as lists for a query, a hundred and some thousand characters at most.

    The Cloud Controller unescapes the query, splits the list at its commas, and unescapes each name once more.
    """
    question, count = "", 0
    for name in sorted(names):
        escaped = quote(quote(name, safe=""), safe="")
        if question and (count == _NAMES_AT_ONCE or len(question) + len(escaped) >= _NAMES_LENGTH):
            yield question
            question, count = "", 0
        question += f"{',' if question else ''}{escaped}"
        count += 1
    if question:
        yield question
