import trio

from syslog_adapter.binding import Binding
from syslog_adapter.drain import Drain
from syslog_adapter.status import status_of, status_of_rejected
from tests.unit.syslog_adapter.scripted_writer import OtherSide, settings


async def test_a_drain_is_described_without_its_secrets(nursery: trio.Nursery) -> None:
    drain = Drain(Binding(url="https://u:secret@a.example/x?secret", source_id="app"), settings(OtherSide(), nursery))

    described = status_of(drain, trio.current_time())
    assert described == {
        "url": "https://a.example/x",
        "source_id": "app",
        "state": "idle",
        "last_error": "",
        "lag_s": 0.0,
        "sent": 0,
        "retried": 0,
        "lost": 0,
        "skipped": 0,
        "held": 0,
        "on_disk": 0,
    }

    rejected = status_of_rejected(drain.binding, "no such host")
    assert rejected == {**described, "state": "rejected", "last_error": "no such host"}
    assert list(rejected) == list(described)
