"""What an authority answers, and how many times it was asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Access(Enum):
    """Whether somebody may read what was asked about."""

    GRANTED = "granted"
    """They may."""

    DENIED = "denied"
    """There is no token, or one that is bad, has expired, was revoked or lacks the scope."""

    HIDDEN = "hidden"
    """The token is good, and the source is not theirs: as far as they are told, there is none."""

    UNKNOWN = "unknown"
    """The authority could not be asked, or answered nonsense; nobody is let in on that."""


@dataclass(frozen=True, slots=True)
class Decision:
    """An answer. The reason of a denial is for the client to read, those of others for our log; none holds a token."""

    access: Access
    reason: str = ""


GRANTED = Decision(Access.GRANTED)


@dataclass(frozen=True, slots=True)
class Readable:
    """Which sources somebody may read, if the decision is to let them read any: these, or with None all there are."""

    decision: Decision
    sources: frozenset[str] | None = frozenset()


@dataclass(slots=True)
class Tally:
    """How one authority's questions were answered."""

    asked: int = 0
    """Questions that were put to it."""

    cached: int = 0
    """Questions that what it had said before, or was just saying to somebody else, answered."""

    failed: int = 0
    """Questions of those asked that it did not answer in time, or with nonsense."""


class AuthorityCounts:
    """A tally for each of those who decide: `local`, `open`, or `uaa` and `capi`. Another thread may read it."""

    def __init__(self, *names: str) -> None:
        self._tallies = {name: Tally() for name in names}

    def __getitem__(self, name: str) -> Tally:
        return self._tallies[name]

    def readings(self) -> Mapping[tuple[str, str], int]:
        """Return every number, by the name of the authority and `asked`, `cached` or `failed`."""
        return {
            (name, outcome): getattr(tally, outcome)
            for name, tally in self._tallies.items()
            for outcome in ("asked", "cached", "failed")
        }
