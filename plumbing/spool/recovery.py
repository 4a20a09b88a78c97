"""Find out, when a spool is opened, what is in its directory: torn frames are cut off, what is done with is removed."""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from plumbing.spool.position import Marks, Position
from plumbing.spool.segment import Segment


def recover(directory: Path, position: Position) -> tuple[list[Segment], Marks]:
    """Return the segments that hold something, in order, and where the spool goes on.

    Only the newest segment is read through, and those that were begun to be committed; and of them the heads alone.
    """
    found = [segment for path in sorted(directory.iterdir()) if (segment := Segment.found(path)) is not None]
    marks = position.marks
    if found:
        marks = _end_of(found[-1], marks, position.seed)
        for segment, following in pairwise(found):
            segment.end = max(following.start, segment.start)
        found[-1].end = max(marks.end, found[-1].start)
    for segment in found:
        _begin(segment, marks, position.seed)
    for segment in found:
        if not segment.held and not segment.left:
            with suppress(OSError):  # it is tried again when the spool is opened next
                segment.remove()
    return [segment for segment in found if segment.held or segment.left], marks


def _end_of(newest: Segment, marks: Marks, seed: int) -> Marks:
    """Cut off what follows the last frame that is all there, and say where the spool goes on."""
    size, end, seq = 0, newest.start, newest.first_seq
    with newest.open() as file:
        for offset, head in newest.heads(file, seed):
            size, end, seq = offset + head.frame_bytes, head.end, head.seq
    if size < newest.size:
        with suppress(OSError):  # nothing is written behind it, and what is read ends here
            os.truncate(newest.path, size)
        newest.size = newest.left = size
    return marks._replace(end=max(marks.end, end), last_seq=max(marks.last_seq, seq))


def _begin(segment: Segment, marks: Marks, seed: int) -> None:
    """Set where reading begins: behind what is done with."""
    if segment.first_seq <= marks.done_seq:
        segment.offset = segment.size
        with segment.open() as file:
            for offset, head in segment.heads(file, seed):
                if head.seq > marks.done_seq:
                    segment.offset = offset
                    break
    segment.position = min(max(segment.start, marks.done), segment.end)
    segment.held = segment.end - segment.position
    segment.left = segment.size - segment.offset
