"""Some events of a segment, and what is known of them."""

import numpy as np
import pyarrow as pa

from event_store.engine.found import NONE, Some, size_of


def test_some_of_some_keep_what_is_known_of_them() -> None:
    known = Some(np.array([3, 5, 9]), pa.table({"message": ["three", "five", "nine"]}))

    few = known.only(np.array([3, 9]))

    assert few.seqs.tolist() == [3, 9]
    assert few.held["message"].to_pylist() == ["three", "nine"]
    assert len(Some(np.array([1, 2])).only(np.array([2]))) == 1
    assert (len(NONE), NONE.nbytes) == (0, 0)
    assert known.nbytes > 24


def test_what_is_looked_for_takes_room_too() -> None:
    key = "a segment", frozenset({"word"}), frozenset({frozenset({"whole", "words"})})

    assert size_of(key, None) == 4 + 10
    assert size_of(key, Some(np.array([1]))) == 4 + 10 + 8
