"""Targets from files as the original's operators write them."""

import os
from pathlib import Path

import pytest

from metron.sources.prometheus.config import ScrapeTarget
from metron.sources.prometheus.target_files import MAX_FILE_BYTES, TargetFiles, parse_target

FULL = b"""
port: 9100
source_id: node
instance_id: 0
scheme: https
server_name: node.internal
path: metrics?name=x
headers: {Authorization: lemons}
labels: {index: 0, ok: true, version: 1.10}
ca_path: /ca.crt
client_cert_path: /c.crt
client_key_path: /c.key
scrape_interval: 1m
"""


def parse(content: bytes) -> ScrapeTarget | str:
    return parse_target(content, "x.yml")


def test_every_key_of_the_original_is_understood() -> None:
    assert parse(FULL) == ScrapeTarget(
        port=9100,
        source_id="node",
        instance_id="0",
        scheme="https",
        server_name="node.internal",
        path="metrics?name=x",
        headers={"Authorization": "lemons"},
        labels={"index": "0", "ok": "true", "version": "1.10"},
        ca_path=Path("/ca.crt"),
        client_cert_path=Path("/c.crt"),
        client_key_path=Path("/c.key"),
        scrape_interval="1m",
    )


def test_what_a_template_left_empty_is_not_given() -> None:
    content = b'port: "9100"\nserver_name: ""\nlabels:\nca_path: ~\nheaders: null\n'

    assert parse(content) == ScrapeTarget(port=9100)


@pytest.mark.parametrize("key", ["password: x", "host: example.com"])
def test_a_key_that_the_original_does_not_know_is_passed_over(key: str) -> None:
    assert parse(f"port: 9100\n{key}\n".encode()) == ScrapeTarget(port=9100)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"source_id: x", "port"),
        (b"port: 0", "port"),
        (b"port: 65536", "port"),
        (b"port: http", "port"),
        (b"port: 1\nscheme: ftp", "scheme"),
        (b"port: 1\nlabels: [a]", "labels"),
        (b"port: 1\nscrape_interval: 15", "duration"),
        (b"port: 1\nscrape_interval: 1ms", "0.1 s"),
        (b'port: 1\nheaders: {"a b": c}', "header"),
        (b'port: 1\nheaders: {a: "b\\r\\nc: d"}', "header"),
        (b'port: 1\nsource_id: "\\ud800"', "Unicode"),
        (b"", "not a mapping"),
        (b"just text", "not a mapping"),
        (b"- port: 1", "not a mapping"),
        (b"port: [", "not YAML"),
        (b"port: !!python/object/apply:os.getcwd []", "port"),
        (b"\xff\xfe\x00", "not YAML"),
        (b"[" * 10_000, "RecursionError"),
        (b"a: &a [x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nport: [*c,*c,*c,*c]", "port"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_line(content: bytes, problem: str) -> None:
    found = parse(content)

    assert isinstance(found, str)
    assert problem in found
    assert "\n" not in found
    assert len(found) <= 300


def test_files_come_change_and_go(tmp_path: Path) -> None:
    files, path = TargetFiles([str(tmp_path / "*.yml")]), tmp_path / "a.yml"
    assert files.look() == {}

    path.write_bytes(b"port: 1")
    assert files.look() == {str(path): ScrapeTarget(port=1)}
    path.write_bytes(b"port: 2")
    assert files.look() == {str(path): ScrapeTarget(port=2)}
    path.unlink()
    assert files.look() == {}


def test_a_file_that_two_globs_name_is_one_target(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_bytes(b"port: 1")

    assert len(TargetFiles([str(tmp_path / "*.yml"), str(tmp_path / "a*")]).look()) == 1


def test_a_bad_file_harms_no_other(tmp_path: Path) -> None:
    (tmp_path / "bad.yml").write_bytes(b"port: x")
    (tmp_path / "good.yml").write_bytes(b"port: 1")
    (tmp_path / "long.yml").write_bytes(b"port: 1 # " + b"x" * MAX_FILE_BYTES)
    (tmp_path / "lost.yml").symlink_to(tmp_path / "nowhere")
    (tmp_path / "dir.yml").mkdir()
    os.mkfifo(tmp_path / "pipe.yml")

    found = TargetFiles([str(tmp_path / "*.yml")]).look()

    usable = [Path(path).name for path, one in found.items() if isinstance(one, ScrapeTarget)]
    assert usable == ["good.yml"]
    assert {Path(path).name for path in found} == {"bad.yml", "good.yml", "long.yml", "dir.yml", "pipe.yml"}
