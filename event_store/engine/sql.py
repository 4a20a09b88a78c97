"""Which SQL of a user's may be run: one SELECT over `events`, by what sqlglot reads in it. Pure.

What is run is what sqlglot writes of what it read, lest another parser read the text otherwise. This is the first of
three walls: DuckDB's own parser must call it a SELECT, too, and DuckDB is shut in (`database.py`).
"""

from __future__ import annotations

import logging
import re

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from event_store.engine.errors import QueryRefused
from event_store.query.compile import TABLE

MAX_CHARACTERS = 20_000
_ONLY = "only a single SELECT (or WITH … SELECT) may be run"
_TABLE_FUNCTIONS = {"range", "generate_series", "unnest", "generateseries", "explode"}
_REFUSED = re.compile(
    r"read_.*|parquet_.*|scan_.*|.*_scan|sniff_.*|glob|getenv|getvariable|current_setting|set_.*|write_.*|query|query_table"
    r"|duckdb_.*|pragma_.*|pg_.*|which_secret|json_execute_.*|from_substrait.*|nextval|currval|setseed"
    r"|repeat|lpad|rpad|pad|space|bar|list_resize|array_resize|list_pad_.*|printf|format",
    re.IGNORECASE,
)
"""Functions that reach beyond `events`, and those that make huge texts of nothing, which no limit of memory sees."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_STATEMENTS = (exp.DDL, exp.DML, exp.Command, exp.Into, exp.Pragma, exp.Set, exp.Copy, exp.Attach, exp.Detach, exp.Use)


def checked(text: str) -> exp.Query:
    """Return the SELECT that a text is; QueryRefused says why it is none, or what in it may not be."""
    if len(text) > MAX_CHARACTERS:
        raise QueryRefused(f"a statement has at most {MAX_CHARACTERS} characters")
    logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it would log what is refused anyway
    try:
        statements = [one for one in sqlglot.parse(text, dialect="duckdb") if one is not None]
    except (SqlglotError, RecursionError) as error:
        raise QueryRefused(f"this is no SQL that is understood: {_first_line(error)}") from error
    if len(statements) != 1:
        raise QueryRefused(f"{_ONLY}, and these are {len(statements)} statements")
    (select,) = statements
    if not isinstance(select, exp.Query):
        raise QueryRefused(f"{_ONLY}, and this is {_name(select)}: the store cannot be changed by SQL")
    names = {_own(cte) for cte in select.find_all(exp.CTE)} | {TABLE}
    for node in select.walk():
        _check(node, names)
    return select


def _own(cte: exp.CTE) -> str:
    """Return the name of a WITH. It is known in one place and allowed in all: it must not be that of a file."""
    if not _NAME.fullmatch(cte.alias):
        raise QueryRefused(f'the name of a WITH is of letters, digits and _: "{cte.alias[:100]}" is none')
    return cte.alias.lower()


def _check(node: exp.Expr, names: set[str]) -> None:
    if isinstance(node, _STATEMENTS) and not isinstance(node, exp.Query):
        raise QueryRefused(f"{_ONLY}, and there is {_name(node)} in it")
    if isinstance(node, exp.Table):
        _check_table(node, names)
    if isinstance(node, exp.Func):
        name = _function(node)
        if _REFUSED.fullmatch(name):
            raise QueryRefused(f"the function {name} may not be used")


def _check_table(table: exp.Table, names: set[str]) -> None:
    if isinstance(table.this, exp.Func):
        name = _function(table.this)
        if name.lower() not in _TABLE_FUNCTIONS:
            raise QueryRefused(f"{name} may not be read from: the only table is {TABLE}")
    elif table.db or table.catalog or table.name.lower() not in names:
        raise QueryRefused(f'there is no table "{table.name[:100]}": the only one is {TABLE}')


def _function(node: exp.Func) -> str:
    return node.name if isinstance(node, exp.Anonymous) else node.sql_name().lower()


def _name(node: exp.Expr) -> str:
    if isinstance(node, exp.Command):
        return str(node.this).upper()
    return "an expression" if isinstance(node, exp.Condition) else node.key.upper()


def _first_line(error: Exception) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip().split("\n")[0][:200] or "it is too deep"
