"""Put the books of all processes side by side and say whether they balance. No I/O, no clock.

Each account must balance in itself, and what one hop delivered, the next must have received. Books of different
processes are never of the same moment, so hops are compared over two readings of all books, one after the other: what
the first reading has as confirmed, the second must have as received; what the first has as received, the second must
have as sent. Then, with everything in motion, a difference is an envelope that was lost, or that came twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from plumbing.ledger import SINK, Account, total

COLUMNS = ("account", "kind", "received", "delivered", "dropped", "skipped", "held", "in flight", "balance")

_NUMBERS = ("received", "delivered", "skipped", "held", "in_flight", "returned", "outside", "on_disk", "unconfirmed")
_HOLDERS = ("hop", "subscription", "tail", "store", SINK)
_LINK = "link "


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """What one process, in one life, says of every envelope it met."""

    component: str
    incarnation: str
    pid: int
    started_at: float
    accounts: tuple[Account, ...]
    gone: bool = False
    """The process is dead, and this is what its book said when it was last seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """All the books there are, read at about one moment."""

    books: tuple[Book, ...]
    unreachable: Mapping[str, str] = field(default_factory=dict)
    """Components that should have a book and did not show it, and why."""
    addresses: Mapping[str, str] = field(default_factory=dict)
    """Where each component listens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """What went from one hop to the next."""

    name: str
    delivered: int
    """Confirmed by the next hop, as the sending side has it."""
    in_flight: int
    """Sent and not confirmed."""
    received: int
    """As the receiving side has it."""
    lost: int = 0
    """Confirmed, and received by nobody."""
    surplus: int = 0
    """Received, and sent by nobody."""
    again: int = 0
    """Received twice: taken back from a broken stream and sent again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether the books balance, and what there is to say about it."""

    crossings: tuple[Crossing, ...]
    problems: tuple[str, ...]
    remarks: tuple[str, ...]
    """What is amiss and has an explanation: a process died, a stream broke."""

    @property
    def balanced(self) -> bool:
        """Whether there is nothing that has no explanation."""
        return not self.problems


def parse_book(answer: Any, *, gone: bool = False) -> Book:
    """Read what a component answers on `/ledger`; `ValueError` if it is no book."""
    try:
        return Book(
            component=str(answer["component"]),
            incarnation=str(answer["incarnation"]),
            pid=int(answer["pid"]),
            started_at=float(answer["started_at"]),
            accounts=tuple(_parse_account(account) for account in answer["accounts"]),
            gone=gone,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a book: {error!r}") from error


def judge(first: Reading, second: Reading) -> Verdict:
    """Compare two readings, the second taken when the first was complete."""
    problems = [*_flaws(second.books)]
    remarks = [*_legacies(second.books)]
    crossings = []
    missing = {**first.unreachable, **second.unreachable}
    for hop in _hops(second):
        crossing = hop.cross(first, second, judged=not missing)
        crossings.append(crossing)
        dead_senders, dead_receivers = _dead(second, hop.senders), _dead(second, hop.receivers)
        if crossing.lost:
            text = f"{crossing.name}: {_envelopes(crossing.lost)} confirmed and received by nobody"
            _tell(text, dead_receivers, problems, remarks)
        if crossing.again:
            remarks.append(
                f"{crossing.name}: {_envelopes(crossing.again)} sent again after a broken stream, and so twice"
            )
        if crossing.surplus:
            text = f"{crossing.name}: {_envelopes(crossing.surplus)} received that nobody here sent, or twice"
            _tell(text, dead_senders | dead_receivers, problems, remarks)
    problems += [f"{name} does not answer ({reason})" for name, reason in sorted(missing.items())]
    return Verdict(crossings=tuple(crossings), problems=tuple(problems), remarks=tuple(remarks))


def rows(book: Book) -> list[tuple[str, ...]]:
    """Write a book's accounts as rows of text under `COLUMNS`."""
    return [
        (
            account.account,
            account.kind,
            f"{account.received:,}",
            f"{account.delivered:,}",
            _dropped(account),
            f"{account.skipped:,}",
            f"{account.held:,}",
            f"{account.in_flight:,}",
            f"{account.balance:,}",
        )
        for account in book.accounts
    ]


def as_object(reading: Reading, verdict: Verdict) -> dict[str, Any]:
    """Describe everything for programs."""
    return {
        "balanced": verdict.balanced,
        "problems": verdict.problems,
        "remarks": verdict.remarks,
        "crossings": [asdict(crossing) for crossing in verdict.crossings],
        "unreachable": dict(reading.unreachable),
        "books": [
            {**asdict(book), "accounts": [{**asdict(each), "balance": each.balance} for each in book.accounts]}
            for book in reading.books
        ],
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Accounts:
    """Some accounts of a reading: of one kind, and if need be of one name or one component."""

    kind: str
    name: str | None = None
    component: str | None = None

    def of(self, book: Book) -> list[Account]:
        if self.component not in (None, book.component):
            return []
        return [
            account for account in book.accounts if account.kind == self.kind and self.name in (None, account.account)
        ]

    def total(self, reading: Reading) -> Account:
        return total("", self.kind, [account for book in reading.books for account in self.of(book)])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hop:
    """Two sides that should agree."""

    name: str
    senders: _Accounts
    receivers: _Accounts

    def cross(self, first: Reading, second: Reading, *, judged: bool) -> Crossing:
        sent, received = self.senders.total(second), self.receivers.total(second)
        crossing = Crossing(
            name=self.name, delivered=_sent(sent), in_flight=sent.in_flight, received=_received(received)
        )
        if not judged:
            return crossing
        lost = _sent(self.senders.total(first)) - _received(received)
        surplus = max(0, _received(self.receivers.total(first)) - _sent(sent) - sent.in_flight)
        again = min(surplus, sent.returned)
        return replace(crossing, lost=max(0, lost), surplus=surplus - again, again=again)


def _sent(account: Account) -> int:
    """What the next hop's books should have: not what strangers took."""
    return account.delivered - account.outside


def _received(account: Account) -> int:
    """What the hop before should have sent: not what strangers did."""
    return account.received - account.outside


def _hops(reading: Reading) -> Iterator[_Hop]:
    """Find the sides there are books of. One Doppler at a time if the agents' links tell them apart."""
    links, doors = _Accounts(kind="link"), _Accounts(kind="ingress")
    subscriptions, readers = _Accounts(kind="subscription"), _Accounts(kind="reader")
    dopplers = _having(reading, doors)
    if dopplers and _having(reading, links):
        linked = {account.account for book in reading.books for account in links.of(book)}
        names = {component: f"{_LINK}{address}" for component, address in reading.addresses.items()}
        if linked <= set(names.values()) and dopplers <= set(names):
            for component in sorted(dopplers):
                yield _Hop(
                    name=f"agents → {component}",
                    senders=_Accounts(kind="link", name=names[component]),
                    receivers=_Accounts(kind="ingress", component=component),
                )
        else:
            yield _Hop(name="agents → dopplers", senders=links, receivers=doors)
    if dopplers and _having(reading, readers):
        yield _Hop(name="dopplers → readers", senders=subscriptions, receivers=readers)


def _having(reading: Reading, accounts: _Accounts) -> set[str]:
    return {book.component for book in reading.books if accounts.of(book)}


def _dead(reading: Reading, accounts: _Accounts) -> set[str]:
    return {book.component for book in reading.books if book.gone and accounts.of(book)}


def _tell(text: str, dead: set[str], problems: list[str], remarks: list[str]) -> None:
    """Put a difference where it belongs: what passed after a dead process's book was last seen is in no book."""
    if dead:
        remarks.append(f"{text}, around the death of {', '.join(sorted(dead))}")
    else:
        problems.append(text)


def _flaws(books: Iterable[Book]) -> Iterator[str]:
    """Name the accounts that do not balance in themselves."""
    for book in books:
        for account in book.accounts:
            where = f"{book.component}, account {account.account!r}"
            if account.balance > 0:
                yield f"{where}: {_envelopes(account.balance)} unaccounted for"
            elif account.balance < 0:
                yield f"{where}: {_envelopes(-account.balance)} accounted for that never came"
            if min(*(getattr(account, number) for number in _NUMBERS), *account.dropped.values()) < 0:
                yield f"{where}: a count is negative"


def _legacies(books: Iterable[Book]) -> Iterator[str]:
    """Say what dead processes held: it died with them, but for what was on disk, and what their senders still have."""
    for book in books:
        of_strangers = any(account.kind == "reader" and account.outside for account in book.accounts)
        held = sum(_mortal(account, of_strangers) for account in book.accounts if account.kind in _HOLDERS)
        if book.gone and held:
            yield f"{book.component} held {_envelopes(held)} when it was last seen before it died"


def _mortal(account: Account, of_strangers: bool) -> int:
    """What is held in memory alone; what outlives the process may have been on its way out, too.

    A sender gives again what it was not told is safe, but a stranger may not.
    """
    outlives = account.on_disk + (0 if of_strangers else account.unconfirmed)
    return max(0, account.held + account.in_flight - outlives) if outlives else account.held


def _parse_account(account: Any) -> Account:
    known = {each.name for each in fields(Account)}
    parsed = Account(**{key: value for key, value in account.items() if key in known})
    numbers = [*(getattr(parsed, number) for number in _NUMBERS), *parsed.dropped.values()]
    if not all(isinstance(number, int) for number in numbers):
        raise TypeError(f"account {parsed.account!r} has something else than counts")
    return parsed


def _dropped(account: Account) -> str:
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in account.dropped.items() if count)
    return f"{account.dropped_total:,} ({reasons})" if reasons else "0"


def _envelopes(count: int) -> str:
    return "1 envelope" if count == 1 else f"{count:,} envelopes"
