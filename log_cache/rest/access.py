"""Who may read what over REST: the rules of the original's proxy (loggregator.md 4.5).

In:    the token of a request, and what it asks for.
Out:   what it may have of that. Every refusal of access looks alike: 404, and nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import trio

from log_cache.promql.query import Query, parse
from log_cache.promql.values import QueryError
from log_cache.rest.refusals import hidden, no_sources, promql_error, query_error
from plumbing.auth import Authority
from plumbing.http import gate

MAX_SOURCES = 1000
"""Sources that one query may name, and that their names may stand for."""


MAX_QUERIES = 100
"""Selectors of one request."""

_ANY = "*"


@dataclass(frozen=True, slots=True)
class Passed:
    """Queries that read nothing but what may be read; `everything` says that this may be all there is."""

    queries: Sequence[Query]
    everything: bool


class Gate(gate.Gate):
    """Lets through what may be read, queries among it; raises a `Refusal` for the rest."""

    def __init__(self, authority: Authority) -> None:
        super().__init__(authority, hidden)

    async def any_of(self, token: str | None, held: Callable[[], Awaitable[Iterable[str]]]) -> Passed:
        """Return what asks for every series of the sources that may be read, of those that are held."""
        readable = await self.sources(token)
        if readable is None:
            return Passed((), everything=True)
        sources = sorted(readable.intersection(await held()))
        return Passed([parse(f'{{source_id="{_ANY}"}}').renamed({_ANY: sources})], everything=False)

    async def queries(self, token: str | None, texts: Sequence[str]) -> Passed:
        """Let queries through, all or none, so that they read nothing but what may be read.

        A source may be called by the name of an app, and is then all apps of that name, and a source of that name.
        Whatever of it is not the reader's is left out; if nothing is left, there is no such source. An administrator
        need not name any.
        """
        is_admin = await self.is_admin(token)
        if not is_admin and not token:
            raise hidden()
        if len(texts) > MAX_QUERIES:
            raise promql_error("bad_data", f"more than {MAX_QUERIES} selectors")
        queries = [await _parsed(text) for text in texts]
        named = {source: None for query in queries for source in query.sources()}
        if not is_admin and not all(_names_its_sources(query) for query in queries):
            raise no_sources()
        if len(named) > MAX_SOURCES:
            raise promql_error("bad_data", f"query names more than {MAX_SOURCES} sources")
        meant = await self._meant(token, list(named), is_admin=is_admin)
        return Passed([query.renamed(meant) for query in queries], everything=is_admin)

    async def _meant(self, token: str | None, named: Sequence[str], *, is_admin: bool) -> Mapping[str, Sequence[str]]:
        """Return what may be read of what each name stands for."""
        guids = await self._authority.named(token, named)
        if not isinstance(guids, Mapping):
            raise hidden()
        meant = {name: sorted({name, *guids.get(name, ())}) for name in named}
        if is_admin:
            return meant
        every = {source for sources in meant.values() for source in sources}
        if len(every) > MAX_SOURCES:
            raise promql_error("bad_data", f"query means more than {MAX_SOURCES} sources")
        allowed = await self._readable(token, every)
        meant = {name: [source for source in sources if source in allowed] for name, sources in meant.items()}
        if not all(meant.values()):
            raise hidden()
        return meant

    async def _readable(self, token: str | None, sources: Iterable[str]) -> set[str]:
        """Ask about all of them at once; how many questions are open at a time is the authority's affair."""
        allowed: set[str] = set()

        async def ask(source: str) -> None:
            if await self.may_read(token, source):
                allowed.add(source)

        async with trio.open_nursery() as nursery:
            for source in sources:
                nursery.start_soon(ask, source)
        return allowed


def _names_its_sources(query: Query) -> bool:
    """Whether every metric is one of listed sources; what is asked for without a name has the name ""."""
    return query.without_source() is None and bool(query.sources())


async def _parsed(text: str) -> Query:
    """Parse in a thread: a text that is made to take long is refused only after a while."""
    try:
        return await trio.to_thread.run_sync(parse, text)
    except QueryError as failed:
        raise query_error(failed) from failed
