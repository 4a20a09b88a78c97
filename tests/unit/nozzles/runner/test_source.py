"""What comes from the Dopplers, and is not selected there already, is filtered and changed on its way."""

from pathlib import Path

from envelope.kinds import Kind
from envelope.pb.loggregator_v2_pb2 import EnvelopeBatch
from envelope.selectors import parse_request
from nozzles.runner.source import make_doppler_source
from plumbing.island import open_island
from plumbing.subscription import check
from tests.unit.nozzles.runner.sources import next_piece, settings
from tests.unit.plumbing.gathering.arrivals import FakeStream, arrival, logs, texts

FILTER = {"types": ["log", "event"], "sources": ["a"], "exclude_sources": ["b"]}


async def test_what_selectors_can_say_the_dopplers_are_asked_for(certs_dir: Path) -> None:
    async with open_island() as island:
        source = make_doppler_source(settings(certs_dir, filter=FILTER, deterministic_name="one"), island, None)

    request = parse_request(source.request)
    assert (request.shard_id, request.deterministic_name, request.preferred_tags) == ("nozzle-relay", "one", True)
    assert {(each.kind, each.source) for each in request.interests} == {(Kind.LOG, b"a"), (Kind.EVENT, b"a")}


async def test_the_rest_is_filtered_and_transformed(certs_dir: Path) -> None:
    config = settings(certs_dir, filter=FILTER, transforms=[{"step": "add_tags", "tags": {"seen": "yes"}}])
    async with open_island() as island:
        source = make_doppler_source(config, island, None)
        for source_id in ("a", "b"):
            await island.run(source.intake.take, check(arrival(logs("1", "2", source_id=source_id))))
        kept, left_out = await next_piece(source.crossing), await next_piece(source.crossing)
        account = await source.account()

    assert (texts(kept.batch), left_out.count) == (["1", "2"], 0)
    assert [each.tags["seen"] for each in EnvelopeBatch.FromString(kept.batch).batch] == ["yes", "yes"]
    assert (account.received, account.delivered, account.skipped) == (4, 2, 2)


async def test_nothing_is_let_in_any_more_once_stopped(certs_dir: Path) -> None:
    async with open_island() as island:
        source = make_doppler_source(settings(certs_dir), island, None)
        await source.stop()
        await island.run(source.intake.take, check(arrival(logs("1"))))
        assert (source.crossing.take(), (await source.account()).received) == (None, 0)
        await source.close()


async def test_what_came_before_is_known_again(certs_dir: Path) -> None:
    async with open_island() as island:
        source = make_doppler_source(settings(certs_dir), island, [])
        for _ in range(2):
            await island.run(source.intake.take, check(arrival(logs("1"), stream=FakeStream())))

    assert source.intake.counts.repeated == 1
