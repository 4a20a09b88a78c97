"""Frames that say which they are, and whether the books of a spool balance."""

from plumbing.spool import Frame, Kept, Spool

PLENTY = 1 << 30


def frame(number: int, count: int = 1, size: int = 0) -> Frame:
    return Frame(b"%d|" % number + bytes(size), count, (b"m%d" % number,))


def numbers(kept: list[Kept]) -> list[int]:
    return [int(one.batch.split(b"|")[0]) for one in kept]


def balanced(spool: Spool) -> bool:
    put = spool.recovered + spool.put_total
    return put == spool.done_total + spool.dropped_total + spool.corrupt_total + spool.held
