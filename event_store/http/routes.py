"""What a path asks for, how, and who may. No I/O.

`PARAMETERS` says what each route takes, once: requests are read by it, and the OpenAPI document is made of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from event_store.http.page import PAGE
from event_store.http.refusals import no_such_method, no_such_path

_STATIC = b"/static/"
_MAX_NAME = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter: of the query, or of a form."""

    name: str
    meaning: str
    required: bool = False
    kind: str = "string"
    """The type in JSON Schema."""
    choices: tuple[str, ...] = ()


QUERY = Parameter(name="query", meaning="The query, in the language of the store; empty is every event.")
FILTER = Parameter(name="query", meaning="The filter: a query without stages; its time range is not looked at.")
START = Parameter(name="start", meaning="Where to begin, over what the query says: ISO 8601, or epoch.")
END = Parameter(name="end", meaning="Where to end, over what the query says.")
LIMIT = Parameter(name="limit", meaning="The most rows of the answer.", kind="integer")
FORMAT = Parameter(name="format", meaning="How the answer is written.", choices=("json", "csv", "arrow"))
PROGRESS = Parameter(
    name="progress",
    meaning="Whether to answer in lines of JSON: how far it is, again and again, then the result or the error.",
    kind="boolean",
)
SPAN = (QUERY, START, END)
LAST_EVENT_ID = Parameter(
    name="Last-Event-ID",
    meaning="Where to go on: the id that came last, as it came. What was stored behind it comes first.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What is asked for."""

    name: str
    summary: str
    methods: tuple[str, ...] = ("GET", "HEAD")
    parameters: tuple[Parameter, ...] = ()
    headers: tuple[Parameter, ...] = ()
    for_admins: bool = False
    is_open: bool = False
    """Whether anybody may have it, without a token."""
    argument: str = ""
    """The file of the page."""


ROUTES: Mapping[str, Route] = {
    "/api/query": Route(
        name="query",
        summary="Run a query.",
        methods=("GET", "POST"),
        parameters=(*SPAN, LIMIT, FORMAT, PROGRESS),
    ),
    "/api/tail": Route(
        name="tail",
        summary="Follow new events, as server-sent events: `event`, or `dropped` with a `count`. Each has an id.",
        methods=("GET",),
        parameters=(FILTER,),
        headers=(LAST_EVENT_ID,),
    ),
    "/api/timeseries": Route(
        name="timeseries",
        summary="Count events over time.",
        methods=("GET",),
        parameters=(
            *SPAN,
            Parameter(name="buckets", meaning="About how many buckets of time.", kind="integer"),
            Parameter(name="step", meaning="How wide a bucket is, such as 1m; instead of buckets."),
            Parameter(name="by", meaning="The field whose values become series of their own."),
        ),
    ),
    "/api/facets": Route(
        name="facets",
        summary="Find the most frequent values of a field.",
        methods=("GET",),
        parameters=(
            *SPAN,
            Parameter(name="field", meaning="The field.", required=True),
            Parameter(name="limit", meaning="How many values.", kind="integer"),
        ),
    ),
    "/api/fields": Route(name="fields", summary="List the fields of events.", methods=("GET",), parameters=SPAN),
    "/api/sql": Route(
        name="sql",
        summary="Run a SELECT on the view `events`; for administrators.",
        methods=("POST",),
        parameters=(
            Parameter(name="sql", meaning="One SELECT; DuckDB's SQL.", required=True),
            LIMIT,
            FORMAT,
            PROGRESS,
        ),
        for_admins=True,
    ),
    "/api/stats": Route(
        name="stats", summary="Say what the store holds; for administrators.", methods=("GET",), for_admins=True
    ),
    "/api/openapi.json": Route(name="openapi", summary="This document.", is_open=True),
    "/": Route(name="page", summary="The page.", is_open=True, argument=PAGE),
}
"""By path."""

STATIC = Route(name="static", summary="A file of the page.", is_open=True)
_BY_RAW_PATH = {path.encode(): route for path, route in ROUTES.items()}

UNDERSTOOD = frozenset(parameter.name for route in ROUTES.values() for parameter in route.parameters)
"""Every parameter that means something here; none holds a token."""


def find(raw_path: bytes, method: str) -> Route:
    """Return what a path asks for; raises the `Refusal` of one that is unknown, or does not go with the method."""
    route = _BY_RAW_PATH.get(raw_path) or _static(raw_path)
    if method not in route.methods:
        raise no_such_method(route.methods)
    return route


def _static(raw_path: bytes) -> Route:
    name = raw_path.removeprefix(_STATIC)
    if name == raw_path or len(name) > _MAX_NAME:
        raise no_such_path()
    return Route(name=STATIC.name, summary=STATIC.summary, is_open=True, argument=name.decode("latin-1"))
