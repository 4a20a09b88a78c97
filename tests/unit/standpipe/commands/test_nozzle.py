import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from plumbing.ledger import Account
from standpipe.books.balance import Book, Reading
from standpipe.commands import nozzle
from standpipe.errors import NotRunning

Output = pytest.CaptureFixture[str]

OURS = [
    *("datadog", "elasticsearch", "file", "fluent", "json_lines", "kafka", "loki", "nats_jetstream", "opentsdb"),
    *("otlp", "prometheus", "remote_write", "splunk", "webhook"),
]


def test_every_kind_of_ours_is_listed_with_what_it_promises(capsys: Output) -> None:
    nozzle.list_kinds(as_json=True)
    listed = {row["kind"]: row for row in json.loads(capsys.readouterr().out)}

    assert set(OURS) <= set(listed)
    assert listed["elasticsearch"]["delivers"] == "exactly-once"
    assert all(listed[kind]["delivers"] != "-" and listed[kind]["does"] for kind in OURS)


def test_a_new_one_is_written_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.chdir(tmp_path)
    nozzle.new("words")

    assert (tmp_path / "words" / "words.py").is_file()
    assert "README.md" in capsys.readouterr().out


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    commands: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, command: commands.append(command))
    return commands


def _data_dir(tmp_path: Path, **endpoints: str) -> Path:
    (tmp_path / "endpoints.json").write_text(json.dumps(endpoints))
    return tmp_path


def _run(data_dir: Path, name: str, config: Path | None = None, further: tuple[str, ...] = ()) -> None:
    context: Any = SimpleNamespace(args=list(further))
    nozzle.run(context, name, config, data_dir)


def test_one_that_is_run_finds_the_running_system(tmp_path: Path, executed: list[list[str]]) -> None:
    data_dir = _data_dir(tmp_path, **{"doppler-0": "a:1", "doppler-1": "b:2", "doppler-0.admin": "c:3"})
    _run(data_dir, "json_lines", further=("--sink.path=x",))

    assert executed[0][2:] == [
        *("-m", "nozzles", "--name=json_lines"),
        f"--tls-ca={data_dir}/certs/ca.crt",
        f"--tls-cert={data_dir}/certs/nozzle.crt",
        f"--tls-key={data_dir}/certs/nozzle.key",
        f"--spool-dir={data_dir}/spool/nozzles.json_lines",
        "--doppler-addresses=a:1,b:2",
        "--sink.path=x",
    ]


def test_what_its_table_says_is_left_alone(tmp_path: Path, executed: list[list[str]]) -> None:
    (config := tmp_path / "f.toml").write_text('[nozzles.mine]\nspool_dir = "/s"\ndoppler_addresses = ["far:1"]\n')
    _run(tmp_path, "mine", config)

    assert f"--config={config}" in executed[0]
    assert not any(flag.startswith(("--spool-dir", "--doppler-addresses")) for flag in executed[0])


def test_without_a_doppler_none_is_run(tmp_path: Path, executed: list[list[str]]) -> None:
    with pytest.raises(NotRunning, match="no doppler"):
        _run(_data_dir(tmp_path, metron="a:1"), "json_lines")

    assert executed == []


def test_those_that_run_are_shown_with_what_became_of_their_envelopes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    accounts = (
        Account(account="dopplers", kind="reader", received=11, delivered=9, skipped=2),
        Account(account="mine", kind="sink", received=9, delivered=4, skipped=2, held=2, dropped={"spool_full": 1}),
    )
    book = Book(component="nozzles.mine", incarnation="i", pid=1, started_at=0, accounts=accounts)

    async def read(_: object) -> dict[str, Book]:
        return {each.component: each for each in Reading(books=(book,)).books}

    monkeypatch.setattr(nozzle, "_read", read)
    data_dir = _data_dir(tmp_path, **{"nozzles.mine.admin": "a:1", "nozzles.hung.admin": "a:2"})
    nozzle.status(data_dir, as_json=True)

    mine, hung = json.loads(capsys.readouterr().out)
    numbers = {"received": 11, "delivered": 4, "skipped": 2, "held": 2}
    assert mine == {"nozzle": "nozzles.mine", **numbers, "dropped": "spool_full 1"}
    assert hung["dropped"] == "does not answer"
    assert list(hung) == list(mine)


def test_without_a_nozzle_there_is_no_status(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match="no nozzle is running"):
        nozzle.status(_data_dir(tmp_path, metron="a:1"))
