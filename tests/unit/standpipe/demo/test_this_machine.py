import os
from pathlib import Path

import pytest

from metron import Config
from plumbing.config import load
from standpipe.demo.this_machine import LOG_SOURCE, METRICS_SOURCE, Logs, find_logs, metron_flags

TLS = ["--tls-ca=a", "--tls-cert=b", "--tls-key=c"]


def _write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


def test_text_files_are_found_beside_each_other_and_one_below(tmp_path: Path) -> None:
    here, below = _write(tmp_path / "syslog", b"one\n"), _write(tmp_path / "apt" / "history.log", b"two words\n")
    assert find_logs(tmp_path) == Logs(whole=(here, below))


def test_what_is_no_text_is_left_alone(tmp_path: Path) -> None:
    _write(tmp_path / "wtmp", b"\x07\0\0\0root")
    _write(tmp_path / "old.gz", b"\x1f\x8b\x08\xff")
    _write(tmp_path / "empty", b"")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(__file__)
    assert find_logs(tmp_path) == Logs()


def test_a_character_cut_in_two_where_sniffing_ends_is_text(tmp_path: Path) -> None:
    file = _write(tmp_path / "umlauts.log", b"x" + "ö".encode() * 4096)
    assert find_logs(tmp_path).whole == (file,)


def test_large_files_are_followed_from_their_end_on(tmp_path: Path) -> None:
    small, large = _write(tmp_path / "small.log", b"a\n"), _write(tmp_path / "large.log", b"line\n" * 200_000)
    assert find_logs(tmp_path) == Logs(whole=(small,), growing=(large,))


def test_many_small_files_are_not_all_read_as_a_whole(tmp_path: Path) -> None:
    for number in range(6):
        _write(tmp_path / f"{number}.log", b"a line\n" * 70_000)
    logs = find_logs(tmp_path)
    assert (len(logs.whole), len(logs.growing)) == (4, 2)


def test_files_that_cannot_be_read_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path / "secret.log", b"line\n")

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "open", refuse)
    assert find_logs(tmp_path) == Logs()


def test_an_agent_understands_what_it_is_told() -> None:
    logs = Logs(whole=(Path("/var/log/a,b [1].log"),), growing=(Path("/var/log/big.log"),))
    config = load(Config, [*TLS, *metron_flags(logs, 2.0)], {})
    assert [(each.paths, each.source_id, each.start) for each in config.files] == [
        (["/var/log/a,b [[]1].log"], LOG_SOURCE, "beginning"),
        (["/var/log/big.log"], LOG_SOURCE, "end"),
    ]
    assert (config.host_metrics.enabled, config.host_metrics.interval_s) == (True, 2.0)
    assert config.host_metrics.source_id == METRICS_SOURCE


def test_a_machine_without_logs_has_metrics_still() -> None:
    assert load(Config, [*TLS, *metron_flags(Logs(), 2.0)], {}).files == []
