"""Why a query has no answer: each is named by what happened, and says what to do."""

from collections.abc import Collection


class QueryError(Exception):
    """A query has no answer."""


class QueryTimeout(QueryError):
    """It took too long."""


class QueryCancelled(QueryError):
    """Somebody asked it to end."""


class QueryTooLarge(QueryError):
    """It needed more memory than it may take, or its answer is too big."""


class QueryRefused(QueryError):
    """It is SQL that may not be run, or that is wrong: it has to be written otherwise."""


class QueryFailed(QueryError):
    """A segment could not be read: it may have been removed just now, or it is damaged."""


class SegmentUnreadable(QueryFailed):
    """So it is with one of these segments, which may be damaged."""

    def __init__(self, message: str, files: Collection[str]) -> None:
        super().__init__(message)
        self.files = frozenset(files)
        """Relative to the folder of the store."""
