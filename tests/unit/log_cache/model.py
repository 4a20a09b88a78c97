"""The store as plain lists: slow, and easy to believe."""

from dataclasses import dataclass, field


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
