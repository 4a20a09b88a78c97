import trio
from trio.testing import MockClock

from syslog_adapter.binding import Binding
from syslog_adapter.bindings.errors import SourceUnavailable
from syslog_adapter.bindings.keeper import Keeper
from syslog_adapter.bindings.table import Table
from syslog_adapter.bindings.validate import REMEMBERED_S, Validator

ONE = Binding(url="syslog://one:514", source_id="app")
TWO = Binding(url="syslog://two:514", source_id="app")


class Said:
    """A source of bindings that says what it is told to."""

    interval_s = 1.0

    def __init__(self, name: str, *bindings: Binding) -> None:
        self.name = name
        self.bindings: tuple[Binding, ...] | None = bindings

    async def read(self) -> tuple[Binding, ...]:
        if self.bindings is None:
            raise SourceUnavailable("it is away")
        return self.bindings


class Kept:
    """A keeper, with what it applied and what it told."""

    def __init__(self, *sources: Said) -> None:
        self.tables: list[Table] = []
        self.told: list[tuple[str, str]] = []
        self.known = {"one", "two"}
        self.at = 0.0
        validator = Validator(self._resolve, lambda: self.at)
        self.keeper = Keeper(sources, validator, self.tables.append, self._tell, per_source=5)

    def _tell(self, source_id: str, text: str) -> None:
        self.told.append((source_id, text))

    async def _resolve(self, name: str) -> list[str]:
        if name not in self.known:
            raise OSError("no such name")
        return ["192.0.2.1"]


async def test_what_all_sources_say_is_one_table() -> None:
    kept = Kept(Said("a", ONE), Said("b", TWO, ONE))

    await kept.keeper.refresh()

    assert kept.tables == [kept.keeper.table]
    assert kept.keeper.table.by_source == {"app": (ONE, TWO)}


async def test_a_source_that_fails_keeps_what_it_said_before() -> None:
    failing = Said("a", ONE)
    kept = Kept(failing, Said("b", TWO))
    await kept.keeper.refresh()

    failing.bindings = None
    await kept.keeper.refresh()

    assert len(kept.tables) == 1
    assert kept.keeper.counts.failures == 1


async def test_an_app_is_told_once_what_is_wrong() -> None:
    kept = Kept(Said("a", Binding(url="ftp://u:secret@one", source_id="app"), Binding(url="nothing")))

    await kept.keeper.refresh()
    await kept.keeper.refresh()

    assert kept.told == [("app", "Invalid Scheme for syslog drain url ftp://one")]
    assert kept.keeper.counts.invalid == 2
    assert kept.tables == []


async def test_what_is_no_drain_is_known_with_the_reason() -> None:
    bad, sixth = Binding(url="ftp://u:secret@one", source_id="app"), Binding(url="syslog://two:9", source_id="app")
    five = [Binding(url=f"syslog://one:{port}", source_id="app") for port in range(1, 6)]
    said = Said("a", *five, sixth, bad)
    kept = Kept(said)
    await kept.keeper.refresh()
    assert kept.keeper.left_out == {
        bad: "Invalid Scheme for syslog drain url ftp://one",
        sixth: "Beyond the 5 drains that a source may have",
    }

    said.bindings = (*five[:4], sixth)
    await kept.keeper.refresh()
    assert kept.keeper.left_out == {}


async def test_a_name_server_that_fails_takes_no_drain_away() -> None:
    kept = Kept(Said("a", ONE))
    await kept.keeper.refresh()

    kept.known, kept.at = set(), REMEMBERED_S + 1
    await kept.keeper.refresh()

    assert kept.keeper.table.by_source == {"app": (ONE,)}
    assert kept.told == []


async def test_a_name_that_is_there_later_is_found_later() -> None:
    kept = Kept(Said("a", ONE))
    kept.known = set()
    for kept.at in (0.0, 1.0, REMEMBERED_S + 1, REMEMBERED_S + 2):
        await kept.keeper.refresh()
    assert len(kept.told) == 1
    assert kept.keeper.left_out == {ONE: "Cannot resolve ip address for syslog drain with url syslog://one:514"}

    kept.known, kept.at = {"one"}, 3 * REMEMBERED_S
    await kept.keeper.refresh()

    assert kept.keeper.table.by_source == {"app": (ONE,)}


async def test_each_source_is_asked_again_and_again(autojump_clock: MockClock) -> None:
    source = Said("a", ONE)
    kept = Kept(source)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(kept.keeper.run)
        while not kept.tables:
            await trio.sleep(0.5)
        source.bindings = (TWO,)
        while len(kept.tables) < 2:
            await trio.sleep(0.5)
        nursery.cancel_scope.cancel()

    assert kept.keeper.table.by_source == {"app": (TWO,)}
