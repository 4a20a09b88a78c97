import httpx
import trio

from syslog_adapter.binding import Binding
from syslog_adapter.bindings.table import Table
from syslog_adapter.bindings.wire import WireBinding
from syslog_adapter.cache import application
from syslog_adapter.drain import Drain
from tests.unit.syslog_adapter.scripted_writer import OtherSide, settings

OWN = Binding(url="https://u:secret@a.example", source_id="app", hostname="h", ca="C")
ALL = Binding(url="syslog://all:1")
BAD = Binding(url="https://u:secret@nowhere.example", source_id="app")


async def test_agents_find_bindings_with_their_credentials(nursery: trio.Nursery) -> None:
    drain = Drain(OWN, settings(OtherSide(), nursery))
    app = application(lambda: Table.of([OWN, ALL], per_source=5), lambda: [drain], lambda: {BAD: "no such host"})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cache") as client:
        bindings = (await client.get("/v2/bindings")).json()
        aggregate = (await client.get("/v2/aggregate")).json()
        status = (await client.get("/v2/drains")).json()

        assert (await client.get("/v2/else")).status_code == 404
        assert (await client.post("/v2/bindings")).status_code == 405

    assert [each for item in bindings for each in WireBinding.model_validate(item).bindings()] == [OWN]
    assert aggregate == [{"url": ALL.url, "credentials": [{"cert": "", "key": "", "ca": "", "apps": []}]}]
    assert [(each["url"], each["source_id"], each["state"], each["last_error"]) for each in status] == [
        ("https://a.example", "app", "idle", ""),
        ("https://nowhere.example", "app", "rejected", "no such host"),
    ]
