"""A cursor comes back as it was given out, and nothing else is taken for one."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from log_cache.cursor import Cursor, Position
from log_cache.query import BadRequest

NUMBERS = st.integers(0, 2**64 - 1)
CURSORS = st.builds(Cursor, NUMBERS, st.builds(Position, NUMBERS, NUMBERS))


@given(cursor=CURSORS, source_id=st.text())
def test_reads_what_it_wrote(cursor: Cursor, source_id: str) -> None:
    text = cursor.text(source_id)

    assert Cursor.parse(text, source_id) == cursor
    assert len(text) == 38
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(text=st.text(max_size=60) | st.text("aA0-_", min_size=38, max_size=38))
def test_refuses_any_other_text(text: str) -> None:
    with pytest.raises(BadRequest):
        Cursor.parse(text, "app")


@given(cursor=CURSORS, place=st.integers(0, 36), letter=st.sampled_from("Ab0_-+/= é"))
def test_refuses_one_that_was_changed(cursor: Cursor, place: int, letter: str) -> None:
    text = cursor.text("app")
    changed = text[:place] + letter + text[place + 1 :]

    if changed != text:
        with pytest.raises(BadRequest):
            Cursor.parse(changed, "app")


def test_refuses_one_of_another_source() -> None:
    text = Cursor(7, Position(1, 2)).text("app")

    with pytest.raises(BadRequest, match="another source"):
        Cursor.parse(text, "other")
