"""The books of a sink: what waits is what was taken over and is in no other column."""

from collections import Counter
from types import SimpleNamespace
from typing import Any

from nozzles.books import account
from nozzles.runner.delivery import DeliveryCounts


def backlog(**numbers: int) -> Any:
    names = (
        "received",
        "recovered",
        "delivered",
        "refused",
        "skipped",
        "dropped",
        "corrupt",
        "held",
        "on_disk",
        "unsafe",
    )
    return SimpleNamespace(**{name: numbers.get(name, 0) for name in names})


def test_what_makes_a_batch_yet_is_held() -> None:
    books = account(
        "s",
        SimpleNamespace(received=12),
        backlog(received=7, delivered=4, held=3, on_disk=2, unsafe=1),
        DeliveryCounts(),
    )  # type: ignore[arg-type]

    assert (books.received, books.delivered, books.held, books.balance) == (12, 4, 8, 0)
    assert (books.on_disk, books.unconfirmed) == (2, 6)


def test_what_was_recovered_was_received_and_every_drop_has_its_reason() -> None:
    kept = backlog(received=10, recovered=5, delivered=2, refused=4, dropped=6, corrupt=1, held=2)
    counts = DeliveryCounts(refused=Counter(too_old=3, corrupt=1))

    books = account("s", SimpleNamespace(received=10), kept, counts)  # type: ignore[arg-type]

    assert books.dropped == {"too_old": 3, "corrupt": 2, "spool_full": 6}
    assert (books.received, books.balance) == (15, 0)


def test_what_has_no_form_at_the_sink_is_skipped_and_neither_delivered_nor_lost() -> None:
    kept = backlog(received=9, delivered=4, skipped=3, refused=1, held=1)

    books = account("s", SimpleNamespace(received=9), kept, DeliveryCounts(refused=Counter(bad=1)))  # type: ignore[arg-type]

    assert (books.delivered, books.skipped, books.dropped_total, books.balance) == (4, 3, 1, 0)
