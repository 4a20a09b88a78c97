"""What the URL of a drain may ask for beyond the original's parameters, through a whole adapter."""

from pathlib import Path

from envelope.pb import loggregator_v2_pb2 as v2
from tests.integration.test_syslog_adapter import ask, says
from tests.running import accounts, dial, eventually, running, send_over
from tests.running_adapter import bind, running_adapter, send, syslog_server


async def test_lines_are_put_in_order_and_joined(certs_dir: Path, tmp_path: Path) -> None:
    trace = [(1, b"Error"), (3, b"\tat b"), (2, b"\tat a"), (5, b"next"), (4, b"\tat c")]
    envelopes = [
        v2.Envelope(timestamp=at, source_id="app", tags={"source_type": "APP"}, log={"payload": text})
        for at, text in trace
    ]
    async with running("doppler", certs_dir, drain_grace_s=0.2) as doppler, syslog_server() as server:
        bind(tmp_path / "b.json", ("app", server.url("?order-window=300&multiline=%5E%5Cs")))
        async with running_adapter(certs_dir, doppler, bindings_file=tmp_path / "b.json") as adapter:
            with dial(doppler["listen"], certs_dir, "doppler") as channel:
                await send_over(channel, *envelopes)
            await eventually(says(server, "Error\n\tat a\n\tat b\n\tat c", "next"))
            books = (await accounts(adapter, certs_dir))["drains"]

    assert (books["received"], books["delivered"], books["skipped"], books["held"]) == (5, 5, 0, 0)


async def test_a_drain_that_asks_for_a_spool_in_vain_gets_what_it_can(certs_dir: Path, tmp_path: Path) -> None:
    async with running("doppler", certs_dir, drain_grace_s=0.2) as doppler, syslog_server() as server:
        bind(tmp_path / "b.json", ("app", server.url("?spool=true")))
        async with running_adapter(certs_dir, doppler, bindings_file=tmp_path / "b.json") as adapter:
            await send(doppler, certs_dir, "app", "one")
            await eventually(says(server, "one"))
            (said,) = await ask(adapter, certs_dir, "/v2/drains")

    assert (said["sent"], said["on_disk"]) == (1, 0)
