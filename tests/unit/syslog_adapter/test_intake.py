import trio

from envelope.framing import frame
from plumbing.island import Island, open_island
from plumbing.subscription import check
from syslog_adapter.dispatch import Debt
from syslog_adapter.intake import Intake
from tests.unit.syslog_adapter.lines import lines, texts


class Message:
    """A message of a Doppler."""

    is_kept = True

    def __init__(self, batch: bytes) -> None:
        self.batch = batch
        self.confirmed = trio.Event()
        self.token = trio.lowlevel.current_trio_token()

    def confirm(self) -> None:
        self.token.run_sync_soon(self.confirmed.set)


class Spooled:
    """A drain with a spool, which takes nothing to its disk before it is told to."""

    def __init__(self) -> None:
        self.accepted = self.unsafe = 0
        self.is_slow = False

    def take(self, count: int) -> None:
        self.accepted += count
        self.unsafe += count if self.is_slow else 0


class Dealt:
    """A dispatcher that knows one drain, which asks for what begins with `wanted`."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.keeper = Spooled()

    def debts(self) -> tuple[Debt, ...]:
        return (Debt(self.keeper, self.keeper.accepted),) if self.keeper.unsafe else ()

    def dispatch(self, batch: bytes, count: int, kinds: int) -> int:
        wanted = [text for text in texts(batch) if text.startswith("wanted")]
        self.texts += wanted
        self.keeper.take(len(wanted))
        return count - len(wanted)


async def deliver(island: Island, intake: Intake, *batches: bytes) -> None:
    messages = [Message(batch) for batch in batches]

    async def relay_all() -> None:
        for message in messages:
            await intake.relay(check(message))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(intake.run)
        await island.run(relay_all)
        for message in messages:
            await message.confirmed.wait()
        intake.stop()


async def test_messages_cross_over_in_order_and_are_confirmed() -> None:
    dealt = Dealt()
    async with open_island() as island:
        intake = Intake(island, dealt)
        await deliver(island, intake, lines("wanted 1", "other"), lines("wanted 2"), lines("wanted 3"))

    assert dealt.texts == ["wanted 1", "wanted 2", "wanted 3"]
    account = intake.account()
    assert (account.received, account.delivered, account.skipped, account.balance) == (4, 3, 1, 0)


async def test_what_is_to_go_to_disk_is_confirmed_when_it_is_there_and_in_order() -> None:
    dealt = Dealt()
    dealt.keeper.is_slow = True
    async with open_island() as island, trio.open_nursery() as nursery:
        intake = Intake(island, dealt)
        nursery.start_soon(intake.run)
        messages = [Message(lines("wanted 1")), Message(lines("other")), Message(lines("wanted 2"))]
        for count, message in enumerate(messages, start=1):
            await island.run(intake.relay, check(message))
            while intake.counts.fed < count:
                await trio.sleep(0.001)
        await trio.sleep(0.1)
        assert [message.confirmed.is_set() for message in messages] == [False, False, False]

        dealt.keeper.unsafe = 1
        await messages[1].confirmed.wait()
        assert [message.confirmed.is_set() for message in messages] == [True, True, False]
        dealt.keeper.unsafe = 0
        await messages[2].confirmed.wait()
        intake.stop()


async def test_a_spool_that_is_slow_holds_up_no_more_than_a_mebibyte() -> None:
    dealt = Dealt()
    dealt.keeper.is_slow = True
    async with open_island() as island, trio.open_nursery() as nursery:
        intake = Intake(island, dealt)
        nursery.start_soon(intake.run)
        messages = [Message(lines("wanted " + "x" * (600 << 10))) for _ in range(4)]
        for count, message in enumerate(messages, start=1):
            await island.run(intake.relay, check(message))
            while intake.counts.fed < count:
                await trio.sleep(0.001)
        await messages[2].confirmed.wait()
        assert not messages[3].confirmed.is_set()

        intake.stop()  # what is left goes to disk now
        await messages[3].confirmed.wait()


async def test_what_is_no_envelope_is_skipped_and_confirmed() -> None:
    dealt = Dealt()
    async with open_island() as island:
        intake = Intake(island, dealt)
        await deliver(island, intake, lines("wanted") + frame(b"\xff"), b"\xff\xff")

    assert dealt.texts == ["wanted"]
    assert intake.counts.fed_malformed == 2
    assert intake.account().balance == 0


async def test_strangers_are_told_apart() -> None:
    class Stranger(Message):
        is_kept = False

    async with open_island() as island:
        intake = Intake(island, Dealt())
        stranger = Stranger(lines("wanted"))
        await island.run(intake.relay, check(stranger))
        intake.stop()
        await stranger.confirmed.wait()

    assert intake.account().outside == 1


async def test_what_strangers_sent_while_it_stopped_is_handed_over_and_counted() -> None:
    class Stranger(Message):
        is_kept = False

    dealt = Dealt()
    async with open_island() as island:
        intake = Intake(island, dealt)
        intake.stop()
        kept = Message(lines("wanted, and still with its Doppler"))
        for message in (Stranger(lines("wanted 1")), kept, Stranger(lines("wanted 2", "other"))):
            await island.run(intake.relay, check(message))
        intake.finish()

    assert dealt.texts == ["wanted 1", "wanted 2"]
    account = intake.account()
    assert (account.received, account.delivered, account.skipped, account.outside, account.balance) == (3, 2, 1, 3, 0)
    assert not kept.confirmed.is_set()


async def test_what_has_come_is_handed_over_when_it_stops_and_nothing_after_that() -> None:
    dealt = Dealt()
    async with open_island() as island, trio.open_nursery() as nursery:
        intake = Intake(island, dealt)
        nursery.start_soon(intake.run)
        first, second = Message(lines("wanted 1")), Message(lines("wanted 2"))
        await island.run(intake.relay, check(first))
        intake.stop()
        await first.confirmed.wait()
        await island.run(intake.relay, check(second))

    assert dealt.texts == ["wanted 1"]
    assert not second.confirmed.is_set()
