import trio

from envelope.pb.loggregator_v2_pb2 import EnvelopeBatch
from plumbing.island import open_island
from syslog_adapter.addresses import resolve_host
from syslog_adapter.bindings.keeper import Keeper
from syslog_adapter.bindings.validate import Validator
from syslog_adapter.dispatch import Dispatcher
from syslog_adapter.intake import Intake
from syslog_adapter.pool import Pool
from syslog_adapter.self_metrics import make_self_metrics
from tests.unit.syslog_adapter.scripted_writer import OtherSide, settings


async def test_the_names_are_the_original_s(nursery: trio.Nursery) -> None:
    pool = Pool(Dispatcher(), settings(OtherSide(), nursery))
    validator = Validator(resolve_host, trio.current_time)
    keeper = Keeper([], validator, pool.apply, lambda *_: None, per_source=5)
    async with open_island() as island:
        parcel = make_self_metrics(Intake(island, Dispatcher()), keeper, pool).batch(1)

    envelopes = EnvelopeBatch.FromString(parcel.batch).batch
    names = {each.counter.name or next(iter(each.gauge.metrics)) for each in envelopes}
    assert {"ingress", "egress", "dropped", "drains", "active_drains", "invalid_drains"} <= names
    assert {each.tags["origin"] for each in envelopes} == {"loggregator.syslog_agent"}
