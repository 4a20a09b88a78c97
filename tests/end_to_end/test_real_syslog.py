"""Real rsyslog and syslog-ng behind drains: every line once, in order, and every field as it was sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from plumbing.tls import TlsFiles
from tests.end_to_end.syslog_programs import Arrange, rsyslog, serving, syslog_ng
from tests.end_to_end.systems import RunningUp, eventually, run_command, up

LINES = 100_000


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningUp]:
    """An agent, an adapter that trusts the installation's own authority, and one Doppler: two would share the lines."""
    data_dir = tmp_path_factory.mktemp("system") / "data"
    config = data_dir.with_name("standpipe.toml")
    config.write_text(
        f'[syslog_adapter]\nfile_interval_s = 0.2\nwriting.trusted_ca_file = "{data_dir}/certs/ca.crt"\n'
        "diode_capacity = 200000\ndiode_bytes = 134217728\n"
    )
    only = ("--only", "metron,doppler,syslog_adapter", "--dopplers", "1")
    with up(data_dir, "--config", str(config), *only) as system:
        yield system


@pytest.mark.parametrize("scheme", ["syslog", "syslog-tls"])
@pytest.mark.parametrize("arrange", [rsyslog, syslog_ng])
def test_every_line_arrives_once_with_every_field(
    running: RunningUp, tmp_path: Path, arrange: Arrange, scheme: str
) -> None:
    source = f"{arrange.__name__}-{scheme}"
    tls = TlsFiles.named(running.data_dir / "certs", "client") if scheme == "syslog-tls" else None
    with serving(arrange, tmp_path / "server", tls) as server:
        bound = run_command(running.data_dir, "drain", "add", source, f"{scheme}://127.0.0.1:{server.port}")
        assert bound.returncode == 0, bound.stderr
        assert eventually(lambda: any(row["source_id"] == source for row in _drains(running)))
        lines = [f'line {number} with "quotes", ] brackets and ümlauts' for number in range(LINES)]
        flags = ("--source", source, "--instance", "7", "--tag", "space_name=dev", "--tag", 'odd=a"b]c', "-")
        sent = run_command(running.data_dir, "emit", *flags, stdin="\n".join(lines).encode())
        assert sent.returncode == 0, sent.stderr
        assert eventually(lambda: len(server.received()) >= LINES, within_s=60)
        received = server.received()
    assert [fields[-1].strip() for fields in received] == lines
    assert {fields[0] for fields in received} == {"14"}
    assert {fields[2:5] for fields in received} == {(".dev.", source, "[/7]")}
    assert {fields[5] for fields in received} == {'[tags@47450 odd="a\\"b\\]c" space_name="dev"]'}
    assert all(fields[1].endswith("+00:00") for fields in received)


def _drains(running: RunningUp) -> list[dict[str, str]]:
    shown = run_command(running.data_dir, "drain", "status", "--json")
    return list(json.loads(shown.stdout)) if shown.returncode == 0 else []
