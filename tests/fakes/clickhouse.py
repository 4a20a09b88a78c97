"""ClickHouse's HTTP interface, as much of it as is spoken to: who may, statements, and inserts that come twice.

`Remembering` keeps rows in Python and knows what the tables' statements mean; `Embedded` gives all to the real engine.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl

import pyarrow as pa

from tests.fakes.http_receiver import HttpReceiver, Posted, Said


class EngineError(Exception):
    """What the engine says, with the status that the server answers."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Engine(Protocol):
    def run(self, sql: str) -> bytes: ...

    def insert(self, table: str, stream: bytes, settings: Mapping[str, str]) -> None: ...


class FakeClickHouse:
    """Serves an engine on a loopback port. `fault` may answer instead: before, or after what is asked was done."""

    def __init__(self, engine: Engine, *, user: str = "", password: str = "") -> None:
        self.engine = engine
        self.user, self.password = user, password
        self.posts: list[Posted] = []
        self.before: Callable[[Posted], Said | None] = lambda _: None
        self.after: Callable[[Posted], Said | None] = lambda _: None
        self._server = HttpReceiver(self._answer)
        self.url = self._server.url

    def close(self) -> None:
        self._server.close()

    @property
    def statements(self) -> list[str]:
        return [asked(post)[0] for post in self.posts]

    def _answer(self, post: Posted) -> Said:
        self.posts.append(post)
        if said := self.before(post):
            return said
        shown = post.headers.get("x-clickhouse-user", ""), post.headers.get("x-clickhouse-key", "")
        if shown != (self.user, self.password):
            return _failed(403, f"Code: 516. DB::Exception: {shown[0]}: Authentication failed (password {shown[1]})")
        sql, settings = asked(post)
        try:
            if match := re.fullmatch(r"INSERT INTO (\S+) FORMAT ArrowStream", sql):
                self.engine.insert(match[1], post.body, settings)
                answer = b""
            else:
                answer = self.engine.run(sql)
        except EngineError as error:
            return _failed(error.status, str(error))
        return self.after(post) or Said(body=answer)


def asked(post: Posted) -> tuple[str, dict[str, str]]:
    """The statement of a request, and its settings."""
    given = dict(parse_qsl(post.query))
    given.pop("database", None)
    return given.pop("query", None) or post.body.decode(), given


def _failed(status: int, text: str) -> Said:
    return Said(status, text.encode(), {"X-ClickHouse-Exception-Code": re.sub(r"\D*(\d*).*", r"\1", text) or "0"})


class Remembering:
    """Tables in memory: their columns, and the rows of each insert that was not there before."""

    def __init__(self) -> None:
        self.columns: dict[str, list[str]] = {}
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.tokens: set[str] = set()
        self.inserts = 0

    def run(self, sql: str) -> bytes:
        if match := re.match(r"CREATE TABLE IF NOT EXISTS (\S+)", sql):
            names = re.findall(r"^    `(\w+)`", sql, re.MULTILINE)
            source = re.search(r" AS (\S+)\n", sql)
            self.columns.setdefault(match[1], self.columns[source[1]][:] if source else names)
            return b""
        if match := re.match(r"ALTER TABLE (\S+)", sql):
            for name in re.findall(r"ADD COLUMN IF NOT EXISTS `((?:[^`\\]|\\.)*)`", sql):
                self.columns[match[1]].append(re.sub(r"\\(.)", r"\1", name))
            return b""
        if match := re.search(r"database = '(\w+)' AND table = '(\w+)'", sql):
            names = self.columns[f"`{match[1]}`.`{match[2]}`"]
            return b"".join(json.dumps([name]).encode() + b"\n" for name in names)
        raise EngineError(400, f"Code: 62. DB::Exception: Syntax error: {sql}")

    def insert(self, table: str, stream: bytes, settings: Mapping[str, str]) -> None:
        if table not in self.columns:
            raise EngineError(404, f"Code: 60. DB::Exception: Table {table} does not exist")
        found = pa.ipc.open_stream(stream).read_all()
        if unknown := set(found.column_names) - set(self.columns[table]):
            raise EngineError(500, f"Code: 117. DB::Exception: Unknown fields: {unknown}")
        self.inserts += 1
        if (token := settings["insert_deduplication_token"]) not in self.tokens:
            self.tokens.add(token)
            self.rows.setdefault(table, []).extend(plain(found))


def plain(table: pa.Table) -> list[dict[str, Any]]:
    """Rows, what is null left out; times as nanoseconds."""
    place = table.schema.get_field_index("time")
    table = table.set_column(place, "time", table["time"].cast(pa.int64()))
    return [{name: value for name, value in row.items() if value is not None} for row in table.to_pylist()]


class Embedded:
    """The engine itself, in this process: `query` is that of a chdb session."""

    def __init__(self, query: Callable[[str, str], Any]) -> None:
        self._query = query

    def run(self, sql: str) -> bytes:
        try:
            return bytes(self._query(sql, "TSV").bytes())
        except Exception as error:
            raise EngineError(400 if "SYNTAX_ERROR" in str(error) else 500, str(error)) from None

    def insert(self, table: str, stream: bytes, settings: Mapping[str, str]) -> None:
        ours = {name: value for name, value in settings.items() if name != "wait_end_of_query"}
        written = ", ".join(f"{name} = '{value}'" for name, value in ours.items())
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "rows.arrows"
            file.write_bytes(stream)
            self.run(f"INSERT INTO {table} FROM INFILE '{file}' SETTINGS {written} FORMAT ArrowStream")
