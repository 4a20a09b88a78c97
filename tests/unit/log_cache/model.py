"""The store as plain lists: slow, and easy to believe."""

from dataclasses import dataclass, field

from log_cache.cursor import Position
from log_cache.store import Store, StoreLimits
from tests.unit.log_cache.envelopes import ALL, KINDS, batch, envelope, names


@dataclass(slots=True)
class Held:
    """An envelope that was put."""

    number: int
    time: int
    kind: int
    name: str


@dataclass(slots=True)
class Life:
    """A source from its first envelope on until the last has expired."""

    birth: int
    arrived: int = 0
    expired: int = 0
    held: list[Held] = field(default_factory=list)

    def add(self, time: int, kind: int, name: str) -> None:
        self.held.append(Held(self.birth + self.arrived, time, kind, name))
        self.arrived += 1

    def expire(self, count: int) -> list[Held]:
        """Expire the oldest by time, of equal times those that arrived first."""
        by_time = sorted(self.held, key=lambda each: each.time)
        self.held = sorted(by_time[count:], key=lambda each: each.number)
        self.expired += count
        return by_time[:count]


class Model:
    """What a store has to hold; what memory pressure took it learns from the store, and checks."""

    def __init__(self, per_source: int, retention: int) -> None:
        self.per_source = per_source
        self.retention = retention
        self.arrivals = 0
        self.sources: dict[bytes, Life] = {}

    def settle(self, waiting: list[tuple[bytes, int, int, str]]) -> None:
        """Take what waited: (source, time, kind, name)."""
        birth = self.arrivals + 1
        for source, time, kind, name in waiting:
            self.sources.setdefault(source, Life(birth)).add(time, kind, name)
        self.arrivals += len(waiting)

    def enforce(self) -> None:
        for life in self.sources.values():
            life.expire(max(0, len(life.held) - self.per_source))

    def expire(self, now: int) -> None:
        for life in self.sources.values():
            life.expire(sum(each.time < now - self.retention for each in life.held))
        self.forget()

    def forget(self) -> None:
        self.sources = {source: life for source, life in self.sources.items() if life.held}

    def follow_pruning(self, left: dict[bytes, list[str]]) -> int:
        """Expire of each source what the store has no more, by the names of what is left; say how many that was."""
        before = sum(len(life.held) for life in self.sources.values())
        for source, life in self.sources.items():
            names = set(left.get(source, ()))
            life.expired += sum(each.name not in names for each in life.held)
            life.held = [each for each in life.held if each.name in names]
        self.forget()
        return before - sum(len(life.held) for life in self.sources.values())


class Pair:
    """A store and its model, led through the same steps."""

    def __init__(self, limits: StoreLimits) -> None:
        self.store = Store(limits)
        self.model = Model(limits.per_source, limits.retention_ns)
        self.waiting: list[tuple[bytes, int, int, str]] = []
        self.positions = [Position(0, 0)]
        self.named = 0

    def put(self, members: list[tuple[str, int, str, int]]) -> None:
        envelopes = []
        for source, time, kind, size in members:
            self.named += 1
            envelopes.append(envelope(time, str(self.named), source=source, kind=kind, size=size))
            self.waiting.append((source.encode(), time, KINDS[kind], str(self.named)))
        self.store.put(batch(*envelopes), len(envelopes))

    def settle(self, _: None = None) -> None:
        assert self.store.settle() >= {source for source, *_ in self.waiting}
        self.look()

    def look(self) -> None:
        self.model.settle(self.waiting)
        self.waiting.clear()

    def prune(self, surplus: int) -> None:
        self.settle()
        self.model.enforce()
        assert self.store.held == sum(len(life.held) for life in self.model.sources.values())
        before = self.store.held_bytes
        expired = self.store.prune(surplus)
        views = {source: self.store.follow(source, None, ALL) for source in self.store.sources()}
        left = {source: [name for each in view.batches() for name in names(each)] for source, view in views.items()}
        assert self.model.follow_pruning(left) == expired
        assert before - self.store.held_bytes >= min(surplus, before)

    def expire(self, now: int) -> None:
        self.store.expire(now)
        self.look()
        self.model.enforce()
        self.model.expire(now)
        assert set(self.store.sources()) == set(self.model.sources)

    def view(self, asked: tuple[str, int, int, int, bool, int]) -> None:
        source, start, end, kinds, descending, limit = asked
        view = self.store.view(source.encode(), start, end, kinds, descending=descending)
        self.look()
        self.model.enforce()
        life = self.model.sources.get(source.encode())
        expected = [each for each in (life.held if life else []) if start <= each.time < end and each.kind & kinds]
        assert [name for each in view.batches() for name in names(each)] == [each.name for each in expected]
        expected = sorted(expected, key=lambda each: each.time)[:: -1 if descending else 1]
        taken = view.take(limit)
        assert names(taken.batch) == [each.name for each in expected[:limit]]
        assert (taken.count, taken.rest) == (min(limit, len(expected)), len(expected) > limit)

    def follow(self, asked: tuple[str, int, int, int]) -> None:
        source, which, kinds, limit = asked
        position = self.positions[-1 - which % len(self.positions)]
        view = self.store.follow(source.encode(), position, kinds)
        self.look()
        self.model.enforce()
        taken = view.take(limit)
        self.positions += [view.end, taken.position]
        life = self.model.sources.get(source.encode())
        if life is None:
            assert (taken.count, view.end) == (0, Position(0, self.model.arrivals))
            return
        is_of_life = position.birth == life.birth and life.birth <= position.seq <= life.birth + life.arrived
        start = position.seq if is_of_life else life.birth
        ahead = [each for each in life.held if each.number >= start]
        expected = [each for each in ahead if each.kind & kinds]
        assert names(taken.batch) == [each.name for each in expected[:limit]]
        assert view.end == Position(life.birth, life.birth + life.arrived)
        assert taken.rest == (len(expected) > limit)
        if is_of_life:
            seen = sum(each.number < taken.position.seq for each in ahead)
            assert taken.missed == taken.position.seq - position.seq - seen
        elif position.birth:
            assert taken.missed is None

    def settled(self) -> dict[bytes, Life]:
        self.settle()
        self.model.enforce()
        return self.model.sources

    def balance(self) -> None:
        store = self.store
        assert store.received == store.held + store.expired + store.waiting
        assert store.received == self.named
