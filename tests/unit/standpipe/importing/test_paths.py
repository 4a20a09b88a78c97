"""Files by their names: what is none, and what each is about."""

from __future__ import annotations

from pathlib import Path

import pytest

from standpipe.importing.paths import source_of, why_none


def test_what_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "app").touch()
    assert not why_none(tmp_path / "app")
    assert not why_none(Path("-"))
    assert why_none(tmp_path).startswith("there is no file")
    assert why_none(tmp_path / "app" / "x").startswith("there is no file")
    assert why_none(tmp_path / ("a" * 300)).endswith("File name too long")


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("access.log", "access"),
        ("access.log.1.gz", "access"),
        ("access.log-20261121.zst", "access"),
        ("app", "app"),
        ("app-2026-11-21.log", "app-2026-11-21"),
        (".log", ".log"),
        ("1", "1"),
        ("-", "stdin"),
        ("b\udcff.log", "b�"),
    ],
)
def test_a_source_is_called_as_its_file(name: str, source: str) -> None:
    assert source_of(Path(name)) == source
