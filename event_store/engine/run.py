"""One query on its way: pass segments over, look for text, find the events of a list, then let SQL answer."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence, Set
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from event_store.engine.database import Connection
from event_store.engine.found import Places, Some
from event_store.engine.listing import Best, Listing, listing_of
from event_store.engine.patterns import necessary
from event_store.engine.pruning import kept, may_have_value, with_sources_named
from event_store.engine.result import Result, Stats
from event_store.engine.scanning import Scanner, Sought, is_small
from event_store.engine.source import Source, hot_table, show
from event_store.engine.watch import Watch
from event_store.model import FIXED, OVERFLOW, RAW_MESSAGE
from event_store.query.compile import TABLE, Compiled, compile_query
from event_store.query.dialects import DUCKDB
from event_store.query.names import canonical
from event_store.query.syntax import And, Expr, Head, In, Limit, Query, Sort, Span, Tail, Top
from event_store.query.words import necessary_words
from event_store.storage import Segment, Snapshot

_MOST_PLACES = 4_000_000
"""Where more are found, all are looked at."""
_MOST_HELD = 32 << 20
"""Bytes of columns that one query keeps of what it found; the others are read again where they are asked for."""


class Run:
    """Answers one query, once."""

    def __init__(self, snapshot: Snapshot, watch: Watch, connection: Connection, scanner: Scanner) -> None:
        self._snapshot = snapshot
        self._watch = watch
        self._connection = connection
        self._scanner = scanner
        self._began = time.perf_counter()
        self._looked_into: set[Segment] = set()
        self._found: dict[Segment, Some | None] = {}
        self._held_bytes = 0
        self._columns = snapshot.columns.union(FIXED)

    def query(self, query: Query) -> Result:
        """Answer a query of the language."""
        segments, sought = self._considered(query.span, _whole_filter(query))
        query = replace(query, filter=with_sources_named(query.filter, lambda: self._sources(segments)))
        compiled = self._compiled(query)
        warnings = compiled.warnings
        listing = listing_of(query)
        if listing is not None:  # what is in the list meets the filter
            compiled = self._compiled(replace(query, filter=_of_sources(query.filter)))
        needed = self._mentioned(compiled.select)
        if listing is None:
            total = _rows(segments) if sought else 0
            source = self._narrowed(segments, sought, query.span, hot=self._hot(needed, sought), total=total)
        else:
            source = self._listed(listing, segments, sought)
        table = self._answer(source, needed, compiled.sql)
        is_events = all(isinstance(stage, Tail | Head | Limit | Sort) for stage in query.pipeline)
        return self._result(table, warnings, is_events=is_events)

    def sql(self, select: exp.Query) -> Result:
        """Answer a SELECT that was checked."""
        columns = {*self._columns, RAW_MESSAGE, OVERFLOW}
        source = Source(snapshot=self._snapshot, whole=self._snapshot.segments, hot=hot_table(self._snapshot, columns))
        self._look_into(source.whole)
        return self._result(self._answer(source, columns, select.sql(dialect="duckdb")), (), is_events=False)

    def counts(self, query: Query, newest: int) -> tuple[pa.Table, Stats]:
        """Count the values of each column, by its name, in the newest events that the query's filter lets through."""
        sample = replace(query, pipeline=(Tail(newest),))
        listing = listing_of(sample)
        assert listing is not None, "a tail is a list"
        source = self._listed(listing, *self._considered(query.span, query.filter))
        show(source, self._columns, self._connection)
        return self._connection.select(_counting(self._columns)), self._stats()

    def _considered(self, span: Span, filter_: Expr) -> tuple[list[Segment], Sought]:
        """Return the segments that may hold what a filter lets through, and what its message must be like."""
        segments = kept(self._snapshot.segments, span, filter_)
        if not may_have_value(filter_, _unlisted):  # it demands a value of some field
            segments = [one for one in segments if is_small(span, one) or self._may_match(filter_, one)]
        return segments, Sought(necessary(filter_), necessary_words(filter_))

    def _may_match(self, filter_: Expr, segment: Segment) -> bool:
        """See whether its columns have values that the filter lets through, if that is known.

        To read that takes as long as a small part of the segment.
        """
        self._watch.check()
        values = self._scanner.indexes.values(self._snapshot, segment)
        return values is None or may_have_value(filter_, values.of)

    def _sources(self, segments: Sequence[Segment]) -> frozenset[str] | None:
        """Return all sources of these segments and of memory; None if they are not known."""
        listed = [one.sources for one in segments if one.sources is not None]
        if len(listed) < len(segments):
            return None
        held = (batch.column("source_id") for batch in self._snapshot.hot if "source_id" in batch.schema.names)
        return frozenset().union(*listed, *(column.dictionary.drop_null().to_pylist() for column in held))

    def _answer(self, source: Source, columns: Set[str], statement: str) -> pa.Table:
        show(source, columns, self._connection)
        return self._connection.select(statement, self._watch.limits.rows)

    def _compiled(self, query: Query) -> Compiled:
        return compile_query(query, self._snapshot.columns, DUCKDB, max_rows=self._watch.limits.rows + 1)

    def _mentioned(self, select: exp.Select) -> frozenset[str]:
        return self._columns & {column.name for column in select.find_all(exp.Column)}

    # --- what is read -------------------------------------------------------------------------------------------------

    def _narrowed(
        self, segments: Sequence[Segment], sought: Sought, span: Span, *, hot: pa.Table | None = None, total: int = 0
    ) -> Source:
        """Choose the events of these segments whose text may match; `total` rows at most are looked at in this way."""
        whole: list[Segment] = []
        partial: list[tuple[Segment, Some]] = []
        each = self._scanner.segments(self._snapshot, segments, sought, span, self._watch.check)
        places = 0
        for segment, some in zip(segments, each, strict=True):
            places += len(some or ())
            found = None if places > _MOST_PLACES else self._bounded(some)
            self._found[segment] = found
            if found is None:
                whole.append(segment)
            elif len(found):
                partial.append((segment, found))
            self._look_into([segment], total)
        if places > _MOST_PLACES:
            whole, partial = [*whole, *(segment for segment, _ in partial)], []
        return Source(snapshot=self._snapshot, whole=whole, partial=partial, hot=hot)

    def _bounded(self, some: Some | None) -> Some | None:
        """Let go of what is known of events, when this query has enough of that."""
        if some is None or some.held is None:
            return some
        self._held_bytes += some.held.nbytes
        return some if self._held_bytes <= _MOST_HELD else replace(some, held=None)

    def _look_into(self, segments: Iterable[Segment], total: int = 0) -> None:
        """Note that segments are looked at: each counts once."""
        for segment in segments:
            if segment not in self._looked_into:
                self._looked_into.add(segment)
                self._watch.files.add(segment.file)
                self._watch.advance(segment.rows, total)

    def _hot(self, columns: Iterable[str], sought: Sought) -> pa.Table | None:
        """Choose the events in memory whose text may match."""
        table = hot_table(self._snapshot, {*columns, "message"})
        return self._scanner.table(table, sought.patterns) if table is not None else None

    def _listed(self, listing: Listing, segments: Sequence[Segment], sought: Sought) -> Source:
        """Find the events of a list, and choose those alone."""
        hot = self._hot(self._columns, sought)
        best = self._best(listing, segments, sought, hot)
        seqs = np.sort(best.seqs)
        if hot is not None:
            hot = hot.filter(pc.is_in(hot["seq"], pa.array(seqs)))
        partial = [(one, some) for one, found in self._found.items() if len(some := _among(one, found, seqs))]
        return Source(snapshot=self._snapshot, partial=partial, hot=hot)

    def _best(self, listing: Listing, segments: Sequence[Segment], sought: Sought, hot: pa.Table | None) -> Best:
        """Look where the events of a list most likely are, until nothing else can be among them."""
        span = listing.query.span
        if listing.is_sorted:
            return self._places(listing.query, self._narrowed(segments, sought, span, hot=hot))
        total = _rows(segments)
        best = self._places(listing.query, Source(snapshot=self._snapshot, hot=hot))
        for glimpse in listing.glimpses(segments) if sought else ():
            if listing.is_settled(best, glimpse.segment):
                break
            source = self._narrowed([glimpse.segment], sought, glimpse.query.span, total=total)
            seen = best.with_more(self._places(glimpse.query, source), listing)
            if glimpse.is_enough(seen, listing):
                return seen
        for step in listing.steps(segments):
            if listing.is_settled(best, step[0]):
                break
            best = best.with_more(self._places(listing.query, self._narrowed(step, sought, span, total=total)), listing)
        return best

    def _places(self, query: Query, source: Source) -> Best:
        """Ask for the times and places of events."""
        if source.is_empty:
            return Best.empty()
        compiled = compile_query(query, self._snapshot.columns, DUCKDB)
        show(source, self._mentioned(compiled.select), self._connection)
        return Best.of(self._connection.select(compiled.sql))

    # --- the answer ---------------------------------------------------------------------------------------------------

    def _result(self, table: pa.Table, warnings: tuple[str, ...], *, is_events: bool) -> Result:
        rows = self._watch.limits.rows
        if table.num_rows > rows:
            warnings += (f"the answer has more than {rows} rows, of which these are the first",)
            table = table.slice(0, rows)
        return Result(table=table, is_events=is_events, warnings=warnings, stats=self._stats())

    def _stats(self) -> Stats:
        hot = self._snapshot.hot
        return Stats(
            rows_scanned=_rows(self._looked_into) + sum(batch.num_rows for batch in hot),
            bytes_scanned=sum(one.bytes for one in self._looked_into) + sum(batch.nbytes for batch in hot),
            segments=len(self._looked_into),
            segments_skipped=len(self._snapshot.segments) - len(self._looked_into),
            elapsed=time.perf_counter() - self._began,
        )


def _among(segment: Segment, found: Some | None, seqs: Places) -> Some:
    """Return which of these events a segment has, or may have: among those that were found in it, if that is known."""
    among = seqs[seqs.searchsorted(segment.min_seq) : seqs.searchsorted(segment.max_seq + 1)]
    return Some(among) if found is None else found.only(np.intersect1d(among, found.seqs, assume_unique=True))


def _whole_filter(query: Query) -> Expr:
    """Return what an event has to meet to count."""
    first = query.pipeline[0] if query.pipeline else None
    return And((query.filter, first.where)) if isinstance(first, Top) else query.filter


def _of_sources(expr: Expr) -> Expr:
    """Return what of a filter tells where in a segment its events are: those of a source lie together."""
    terms = expr.terms if isinstance(expr, And) else (expr,)
    return And(tuple(term for term in terms if isinstance(term, In) and canonical(term.field) == "source_id"))


def _unlisted(column: str) -> frozenset[str] | None:
    """Say of messages alone that they may have any value: no index lists those."""
    return None if column == "message" else frozenset()


def _rows(segments: Iterable[Segment]) -> int:
    return sum(segment.rows for segment in segments)


def _counting(columns: frozenset[str]) -> str:
    """Make a SELECT of `column` and `count`, those in the map of what has no column included."""
    names = sorted(columns - {OVERFLOW})
    counts = exp.select(
        *(exp.alias_(exp.Count(this=exp.column(name, quoted=True)), name, quoted=True) for name in names)
    )
    turned = f'UNPIVOT ({counts.from_(TABLE).sql(dialect="duckdb")}) ON COLUMNS(*) INTO NAME "column" VALUE "count"'
    if OVERFLOW not in columns:
        return f"FROM ({turned})"
    keys = f"SELECT unnest(map_keys({OVERFLOW})) AS k FROM {TABLE}"  # noqa: S608  # names of ours
    return f"FROM ({turned}) UNION ALL SELECT k, count(*) FROM ({keys}) GROUP BY k"  # noqa: S608  # quoted by sqlglot
