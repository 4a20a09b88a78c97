"""`standpipe store export --delta s3://…`: other engines read from an object store what the store has.

Polars reads it in every run. The slow tests have ClickHouse, Sail (which is asked as Spark is, and has a reader of its
own), and Spark itself: that has its reader of Delta tables from elsewhere, so it is told the schema and the files.
"""

from __future__ import annotations

import json
import math
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars
import pyarrow as pa
import pytest

from event_store.engine import Engine
from event_store.storage import Store
from tests.fakes.object_store import ACCESS_KEY, SECRET_KEY, FakeObjectStore
from tests.unit.event_store.storage.events import START, batch_of, events, opened, rows_of

pytest.importorskip("deltalake", reason="an extra")
pytestmark = pytest.mark.timeout(600)  # of processes that only start, on a machine that may be busy
TABLE = "s3://lake/events"
BIG = random.Random(1).randbytes(11 << 20)
"""So much that a file is sent in parts."""
ASKED = (
    "SELECT source_id, count(*) AS n, sum(value) AS total, max(seq) AS last FROM events "
    "WHERE value < 1000 AND t_app = 'web' GROUP BY source_id ORDER BY last"
)
CLICKHOUSE = """
import sys, chdb, pyarrow
url, key, secret, asked, file = sys.argv[1:]
sql = asked.replace("events", f"deltaLake('{url}/lake/events', '{key}', '{secret}')")
table = chdb.query(f"{sql} SETTINGS output_format_arrow_string_as_string = 0", "ArrowTable")
with pyarrow.ipc.new_file(file, table.schema) as written:
    written.write_table(table)
"""
SAIL = """
import sys, warnings, pyarrow
warnings.simplefilter("ignore")
from pysail.spark import SparkConnectServer
from pyspark.sql import SparkSession
asked, file = sys.argv[1:]
server = SparkConnectServer("127.0.0.1", 0)
server.start()
spark = SparkSession.builder.remote("sc://127.0.0.1:%d" % server.listening_address[1]).getOrCreate()
spark.read.format("delta").load("s3://lake/events").createOrReplaceTempView("events")
table = spark.sql(asked).toArrow()
with pyarrow.ipc.new_file(file, table.schema) as written:
    written.write_table(table)
spark.stop()
server.stop()
"""
SPARK = """
import json, pathlib, sys
from pyspark.sql import SparkSession
from pyspark.sql.types import StructType
table, asked, file = sys.argv[1:]
commits = sorted(pathlib.Path(table, "_delta_log").glob("*.json"))
actions = [json.loads(line) for commit in commits for line in commit.read_text().splitlines()]
schema = [action["metaData"]["schemaString"] for action in actions if "metaData" in action][-1]
files = [f"{table}/{action['add']['path']}" for action in actions if "add" in action]
local = {"spark.ui.enabled": "false", "spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
spark = SparkSession.builder.master("local[1]").config(map=local).getOrCreate()
events = spark.read.schema(StructType.fromJson(json.loads(schema))).parquet(*files)
events.createOrReplaceTempView("events")
table = spark.sql(asked).toArrow()
import pyarrow
with pyarrow.ipc.new_file(file, table.schema) as written:
    written.write_table(table)
spark.stop()
"""


Ended = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Lake:
    """An object store, and the store whose events are there; some were exported by two commands at once."""

    objects: FakeObjectStore
    store: Store
    folder: Path
    ended: list[Ended] = field(default_factory=list)
    """What came of exporting: once, then the one that was faster, and the other."""

    def export(self, **environment: str) -> Ended:
        command = [sys.executable, "-m", "standpipe", "store", "export", "--delta", TABLE, "--json"]
        return ended([*command, "--data-dir", str(self.folder)], {**self.objects.environment(), **environment})


Reader = Callable[[Lake, str], pa.Table]


def ended(command: list[str], environment: dict[str, str]) -> Ended:
    clean = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **environment}
    return subprocess.run(command, env=clean, capture_output=True, text=True)


def read_by(program: str, *arguments: str, file: Path, environment: dict[str, str]) -> pa.Table:
    done = ended([sys.executable, "-c", program, *arguments, str(file)], environment)
    assert done.returncode == 0, done.stderr
    return pa.ipc.open_file(file).read_all()


def polars_(lake: Lake, sql: str) -> pa.Table:
    given = {name.lower(): value for name, value in lake.objects.environment().items()}
    with polars.SQLContext(events=polars.scan_delta(TABLE, storage_options=given)) as context:
        return context.execute(sql).collect().to_arrow()


def clickhouse(lake: Lake, sql: str) -> pa.Table:
    pytest.importorskip("chdb", reason="of the group engines")
    given = (lake.objects.url, ACCESS_KEY, SECRET_KEY, sql)
    return read_by(CLICKHOUSE, *given, file=lake.folder / "rows", environment={})


def sail(lake: Lake, sql: str) -> pa.Table:
    pytest.importorskip("pysail", reason="of the group engines")
    environment = {**lake.objects.environment(), "AWS_ENDPOINT": lake.objects.url, "RUST_LOG": "error"}
    environment["SPARK_HOME"] = str(lake.folder)  # Spark's client looks for one, though it needs none
    return read_by(SAIL, sql, file=lake.folder / "rows", environment=environment)


def spark(lake: Lake, sql: str) -> pa.Table:
    pytest.importorskip("py4j", reason="of the group engines")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    for name, body in lake.objects.objects.items():
        file = lake.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)
    return read_by(SPARK, str(lake.folder / "lake/events"), sql, file=lake.folder / "rows", environment={})


READERS = [
    pytest.param(polars_, id="polars"),
    pytest.param(clickhouse, id="clickhouse", marks=pytest.mark.slow),
    pytest.param(sail, id="sail", marks=pytest.mark.slow),
    pytest.param(spark, id="spark", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """Two segments, of which the second has more columns, whatever is odd, and times that Spark cannot tell apart."""
    folder = tmp_path_factory.mktemp("lake")
    with closing(FakeObjectStore()) as objects, closing(opened(folder / "events")) as store:
        lake = Lake(objects, store, folder)
        store.append([events(range(10), t_app=["web", "api"] * 5, value=[float(one) for one in range(10)])])
        store.flush()
        lake.ended.append(lake.export())
        fill(store)

        def be_faster(method: str, name: str) -> None:
            if method == "PUT" and name.endswith("1.json"):
                objects.before = lambda *_: None
                lake.ended.append(lake.export())

        objects.before = be_faster
        lake.ended.append(lake.export())
        yield lake


def fill(store: Store) -> None:
    odd: dict[str, Any] = {
        "time": [-(2**63) + 2, START + 1, START + 2, 2**63 - 1],
        "source_id": [None, "a", "ü'\"`", ""],
        "message": ["two\nlines", None, "", "\0 😀"],
        "message_raw": [b"\xff\0", None, b"", None],
        "value": [math.nan, math.inf, -0.0, 5e-324],
        "delta": [-(2**63), None, 0, 2**63 - 1],
        "duration": [2**63 - 1, None, 0, -1],
        "t_app": ["web", "web", None, "web"],
        "f_ms_num": [0.5, None, 1e300, -1.0],
        "f_user.name": ["x", None, "", "y"],
        "f_odd name": ["in", None, "the", "map"],
        "attrs": [[("t_rare", "1"), ("f_q$num", "2.5")], None, [], [("", "")]],
    }
    store.append([batch_of(**odd), batch_of(time=[START], message=["big"], message_raw=[BIG])])
    store.flush()


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """Only what is there: engines differ in whether a map is empty or null; nan is a text, as it equals nothing."""
    made = {name: pairs(value) if name == "attrs" else text(name, value) for name, value in row.items()}
    return {name: value for name, value in made.items() if value is not None}


def pairs(attrs: Any) -> dict[str, Any] | None:
    items = attrs.items() if isinstance(attrs, dict) else (attrs or ())
    return {text("", name): text("", value) for name, value in items} or None


def text(name: str, value: Any) -> Any:
    """ClickHouse gives texts as bytes."""
    if isinstance(value, bytes) and name != "message_raw":
        return value.decode()
    return "nan" if isinstance(value, float) and math.isnan(value) else value


def in_the_store(store: Store) -> list[dict[str, Any]]:
    rows = rows_of(store.snapshot())
    for row in rows:
        name, time_ns = row.pop("f_odd name", None), row["time"]
        row["attrs"] = dict(row.pop("attrs", ())) | ({} if name is None else {"f_odd name": name})
        row["time"], row["time_ns"] = (time_ns // 1000 if time_ns >= 0 else -(-time_ns // 1000)), time_ns
    return [plain(row) for row in rows]


def in_the_table(read: pa.Table) -> list[dict[str, Any]]:
    micros = read["time"].cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    return [plain(row) for row in read.set_column(read.column_names.index("time"), "time", micros).to_pylist()]


def test_of_two_exports_at_once_one_fails(lake: Lake) -> None:
    """The object store says who was first; who was not reads what was committed meanwhile, and gives up."""
    first, second, third = lake.ended

    assert json.loads(first.stdout) == {"exported": 10, "commits": 1, "version": 0, "damaged": []}
    assert json.loads(second.stdout) == {"exported": 5, "commits": 1, "version": 1, "damaged": []}
    assert (third.returncode, third.stdout) == (1, "")
    assert f"{TABLE}: " in third.stderr
    assert any(method == "POST" and name.endswith(".parquet") for method, name in lake.objects.asked)


@pytest.mark.parametrize("read", READERS)
def test_other_engines_read_each_event_once_as_it_is_in_the_store(lake: Lake, read: Reader) -> None:
    assert in_the_table(read(lake, "SELECT * FROM events ORDER BY seq")) == in_the_store(lake.store)


@pytest.mark.parametrize("read", READERS)
def test_other_engines_answer_as_the_store_does(lake: Lake, read: Reader) -> None:
    with closing(Engine(lake.store.folder)) as engine:
        expected = engine.sql(lake.store.snapshot(), ASKED).table.to_pylist()

    assert [plain(row) for row in read(lake, ASKED).to_pylist()] == [plain(row) for row in expected]


def test_who_is_not_let_in_is_told_where_and_no_secret(lake: Lake) -> None:
    refused = lake.export(AWS_ACCESS_KEY_ID="nobody")

    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"{TABLE}: " in refused.stderr
    assert "403 Forbidden" in refused.stderr
    assert "\x1b" not in refused.stderr
    assert SECRET_KEY not in refused.stderr
