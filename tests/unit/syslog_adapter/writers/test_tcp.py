"""The writer over TCP and TLS, against real sockets."""

from pathlib import Path

import pytest
import trio
import trio.testing

from envelope.pb.loggregator_v2_pb2 import Envelope
from syslog_adapter.writers import DrainUnavailable, Written, open_writer
from tests.strategies import batch_of
from tests.unit.syslog_adapter.writers.drains import (
    WITHIN_S,
    binding,
    counted,
    lines,
    settings,
    syslog_drain,
    tls_server,
    url,
)


async def test_messages_go_out_counted_over_one_connection() -> None:
    async with syslog_drain() as drain, open_writer(url(drain, "syslog"), binding(), settings()) as writer:
        assert await writer.write(lines("one", "two\n")) == Written(2, 0, 0)
        assert await writer.write(lines("three")) == Written(1, 0, 0)

        await drain.has(counted("one", "two") + counted("three"))
        assert len(drain.connections) == 1


async def test_what_has_no_form_or_is_not_asked_for_is_counted_and_dials_nobody() -> None:
    batch = batch_of(Envelope(timer={}), Envelope(log={}, tags={"not a name": ""}), Envelope())

    async with syslog_drain() as drain, open_writer(url(drain, "syslog"), binding(), settings()) as writer:
        assert await writer.write(batch) == Written(0, 2, 1)
        assert drain.connections == []


@pytest.mark.parametrize(("query", "shown"), [("", False), ("?disable-metadata=false", True)])
async def test_tags_are_shown_as_the_url_says_or_else_the_settings(query: str, shown: bool) -> None:
    async with (
        syslog_drain() as drain,
        open_writer(url(drain, "syslog", query), binding(), settings(metadata=False)) as writer,
    ):
        await writer.write(batch_of(Envelope(log={"payload": b"x"}, tags={"a": "b"})))
        with trio.fail_after(WITHIN_S):
            while not drain.connections or not drain.connections[0].endswith(b"x\n"):
                await trio.sleep(0.002)

        assert (b'[tags@47450 a="b"]' in drain.connections[0]) == shown


@pytest.mark.parametrize("scheme", ["syslog", "syslog-tls"])
async def test_a_drain_that_closed_is_dialled_again_before_the_next_write(scheme: str, certs_dir: Path) -> None:
    tls = tls_server(certs_dir) if scheme == "syslog-tls" else None
    async with (
        syslog_drain(tls) as drain,
        open_writer(url(drain, scheme), binding(certs_dir), settings()) as writer,
    ):
        await writer.write(lines("one"))
        await drain.has(counted("one"))
        await drain.open[0].aclose()
        await trio.testing.wait_all_tasks_blocked(0.01)
        await writer.write(lines("two"))

        await drain.has(counted("two"), connection=1)


async def test_a_drain_that_is_not_there_is_unavailable() -> None:
    async with syslog_drain() as drain:
        nobody = url(drain, "syslog")
    async with open_writer(nobody, binding(), settings()) as writer:
        with pytest.raises(DrainUnavailable, match="onnect") as caught:
            await writer.write(lines("one"))

    assert (caught.value.done, caught.value.written) == (0, Written())


async def test_an_error_of_the_body_is_not_wrapped() -> None:
    async with syslog_drain() as drain:
        with pytest.raises(ZeroDivisionError):
            async with open_writer(url(drain, "syslog"), binding(), settings()) as writer:
                await writer.write(lines("one"))
                raise ZeroDivisionError


@pytest.mark.parametrize("scheme", ["syslog", "syslog-tls"])
async def test_of_a_drain_that_stops_reading_only_what_it_did_not_take_is_left(scheme: str, certs_dir: Path) -> None:
    texts = [str(number) * 1000 for number in range(10)] * 2000
    tls = tls_server(certs_dir) if scheme == "syslog-tls" else None
    async with (
        syslog_drain(tls, most=200_000) as drain,
        open_writer(url(drain, scheme), binding(certs_dir), settings(write_timeout_s=0.3)) as writer,
    ):
        with pytest.raises(DrainUnavailable, match="takes no more bytes") as caught:
            await writer.write(lines(*texts))

        done = caught.value.done
        assert 100 < done < len(texts)
        assert caught.value.written == Written(done, 0, 0)
        assert counted(*texts[: done + 100]).startswith(bytes(drain.connections[0][:100_000]))


@pytest.mark.parametrize("scheme", ["syslog", "syslog-tls"])
async def test_a_connection_that_broke_is_dialled_again(scheme: str, certs_dir: Path) -> None:
    tls = tls_server(certs_dir) if scheme == "syslog-tls" else None
    async with (
        syslog_drain(tls, most=1000) as drain,
        open_writer(url(drain, scheme), binding(certs_dir), settings(write_timeout_s=0.3)) as writer,
    ):
        with pytest.raises(DrainUnavailable):
            await writer.write(lines("x" * 20_000_000))
        await writer.write(lines("after"))

        await drain.has(counted("after"), connection=1)


async def test_tls_speaks_to_whom_the_binding_s_authority_vouches_for_and_shows_its_certificate(
    certs_dir: Path,
) -> None:
    own = {"cert": (certs_dir / "client.crt").read_text(), "key": (certs_dir / "client.key").read_text()}
    async with syslog_drain(tls_server(certs_dir, mutual=True)) as drain:
        async with open_writer(url(drain, "syslog-tls"), binding(certs_dir, **own), settings()) as writer:
            await writer.write(lines("secret"))

            await drain.has(counted("secret"))


async def test_tls_does_not_speak_to_strangers(certs_dir: Path, other_certs_dir: Path) -> None:
    async with syslog_drain(tls_server(certs_dir)) as drain:
        async with open_writer(url(drain, "syslog-tls"), binding(other_certs_dir), settings()) as writer:
            with pytest.raises(DrainUnavailable, match="certificate verify failed"):
                await writer.write(lines("secret"))


async def test_a_drain_that_refuses_us_after_the_handshake_is_given_nothing(certs_dir: Path) -> None:
    async with syslog_drain(tls_server(certs_dir, mutual=True)) as drain:
        patient = settings(verdict_s=20)
        async with open_writer(url(drain, "syslog-tls"), binding(certs_dir), patient) as writer:
            for _ in range(2):
                with pytest.raises(DrainUnavailable, match=r"(?i)connection|certificate"):
                    await writer.write(lines("one"))

    assert not any(drain.connections)
