"""How far a store was shipped is written down as a whole, or is an error."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_store.clickhouse.progress import Progress, ProgressDamaged, ProgressFile, ShipperBusy, parse


def test_what_is_written_is_read(tmp_path: Path) -> None:
    file = ProgressFile(tmp_path / "shipped" / "x.json")
    progress = Progress("ab", next=5, sending=9, events=4, missing=1)
    with file.held():
        assert file.read("ab") == Progress("ab")
        file.write(progress)

    assert file.read("ab") == progress
    assert oct(file.path.stat().st_mode)[-3:] == "600"


def test_that_of_another_store_is_not_taken(tmp_path: Path) -> None:
    file = ProgressFile(tmp_path / "x.json")
    file.write(Progress("ab", next=5))

    with pytest.raises(ProgressDamaged, match=r"x\.json is of the store ab, and this is cd"):
        file.read("cd")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"store":"a","next":-1,"sending":0,"events":0,"missing":0}']
)
def test_what_says_nothing_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    file = ProgressFile(tmp_path / "x.json")
    file.path.write_bytes(content)

    with pytest.raises(ProgressDamaged, match=r"x\.json does not say"):
        file.read("a")


@given(st.binary())
def test_any_bytes_are_progress_or_a_value_error(content: bytes) -> None:
    with contextlib.suppress(ValueError):
        parse(content)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    file = ProgressFile(tmp_path / "x.json")
    with file.held(), pytest.raises(ShipperBusy, match=r"x\.json"):
        with ProgressFile(file.path).held():
            pass
    with file.held():
        pass
