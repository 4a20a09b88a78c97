"""Runs queries over a snapshot of the store: DuckDB for SQL, Polars to find text, and as few segments as will do."""

from event_store.engine.engine import Engine
from event_store.engine.errors import (
    QueryCancelled,
    QueryError,
    QueryFailed,
    QueryRefused,
    QueryTimeout,
    QueryTooLarge,
    SegmentUnreadable,
)
from event_store.engine.result import Column, Result, Stats
from event_store.engine.summaries import facets, field_counts, step_for, timeseries
from event_store.engine.watch import Limits, Progress

__all__ = ["Column", "Engine", "Limits", "Progress", "QueryCancelled", "QueryError", "QueryFailed", "QueryRefused"]
__all__ += ["QueryTimeout", "QueryTooLarge", "Result", "SegmentUnreadable", "Stats", "facets", "field_counts"]
__all__ += ["step_for", "timeseries"]
