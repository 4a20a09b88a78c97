"""The writer over HTTPS, against real sockets."""

from base64 import b64encode
from pathlib import Path

import pytest

from envelope.pb.loggregator_v2_pb2 import Envelope
from syslog_adapter.drain_url import parse_drain_url
from syslog_adapter.retry import MOST_RETRY_AFTER_S
from syslog_adapter.writers import DrainUnavailable, Written, open_writer
from tests.strategies import batch_of
from tests.unit.syslog_adapter.writers.drains import (
    binding,
    https_drain,
    lines,
    message,
    settings,
    tls_server,
    url,
)


async def test_each_message_is_a_request_without_a_count(certs_dir: Path) -> None:
    async with https_drain(tls_server(certs_dir)) as drain:
        where = url(drain, "https", "/logs?token=x&drain-data=all&include=a")
        async with open_writer(where, binding(certs_dir), settings()) as writer:
            written = await writer.write(lines("one", "two") + batch_of(Envelope()))

    assert written == Written(2, 1, 0)
    assert sorted(body for _, body in drain.requests) == [message("one"), message("two")]
    head = drain.requests[0][0]
    assert head.startswith(b"POST /logs?token=x&drain-data=all HTTP/1.1\r\n")
    assert b"\r\ncontent-type: text/plain\r\n" in head.lower() + b"\r\n"


async def test_credentials_of_the_url_are_shown_to_the_drain(certs_dir: Path) -> None:
    async with https_drain(tls_server(certs_dir)) as drain:
        where = parse_drain_url(f"https://me:p%40ss@127.0.0.1:{drain.port}/")
        async with open_writer(where, binding(certs_dir), settings()) as writer:
            await writer.write(lines("one"))

    assert b"Authorization: Basic " + b64encode(b"me:p@ss") in drain.requests[0][0]


@pytest.mark.parametrize("answer", [b"400 No", b"500 No", b"302 Found\r\nLocation: https://127.0.0.1/"])
async def test_any_other_answer_says_to_send_it_again_and_what_follows(answer: bytes, certs_dir: Path) -> None:
    batch = batch_of(Envelope(timer={}), Envelope(log={"payload": b"0"}, tags={"no name": ""})) + lines("1", "2", "3")

    async with https_drain(tls_server(certs_dir)) as drain:
        drain.answers[:] = [b"202 Accepted", answer]
        one_by_one = settings(https_connections=1)
        async with open_writer(url(drain, "https"), binding(certs_dir), one_by_one) as writer:
            with pytest.raises(DrainUnavailable, match=f"answers {answer[:3].decode()}") as caught:
                await writer.write(batch)

    assert [body for _, body in drain.requests] == [message("1"), message("2")]
    assert (caught.value.done, caught.value.written) == (3, Written(1, 1, 1))


@pytest.mark.parametrize("scheme", ["https", "https-batch"])
@pytest.mark.parametrize(
    ("answer", "wait_s"),
    [
        (b"429 Slow down\r\nRetry-After: 7", 7.0),
        (b"503 Later\r\nRetry-After: 100000", MOST_RETRY_AFTER_S),
        (b"429 Slow down\r\nRetry-After: soon", 0.0),
        (b"500 No\r\nRetry-After: 7", 0.0),
    ],
)
async def test_a_drain_may_say_when_to_come_again(answer: bytes, wait_s: float, scheme: str, certs_dir: Path) -> None:
    async with https_drain(tls_server(certs_dir)) as drain:
        drain.answers[:] = [answer]
        async with open_writer(url(drain, scheme), binding(certs_dir), settings()) as writer:
            with pytest.raises(DrainUnavailable) as caught:
                await writer.write(lines("one"))

    assert caught.value.retry_after_s == wait_s


async def test_a_gauge_is_done_once_all_its_messages_are_taken(certs_dir: Path) -> None:
    gauge = batch_of(Envelope(gauge={"metrics": {"a": {}, "b": {}}}))

    async with https_drain(tls_server(certs_dir)) as drain:
        drain.answers[:] = [b"200 OK", b"503 Later"]
        where = url(drain, "https", "?drain-data=all")
        async with open_writer(where, binding(certs_dir), settings(https_connections=1)) as writer:
            with pytest.raises(DrainUnavailable) as caught:
                await writer.write(gauge)
            assert caught.value.done == 0
            assert await writer.write(gauge) == Written(1, 0, 0)


async def test_a_drain_of_another_authority_is_unavailable(certs_dir: Path, other_certs_dir: Path) -> None:
    async with https_drain(tls_server(certs_dir)) as drain:
        async with open_writer(url(drain, "https"), binding(other_certs_dir), settings()) as writer:
            with pytest.raises(DrainUnavailable, match="certificate verify failed"):
                await writer.write(lines("one"))

        async with open_writer(url(drain, "https"), binding(), settings(skip_cert_verify=True)) as careless:
            assert await careless.write(lines("one")) == Written(1, 0, 0)


async def test_a_drain_that_does_not_answer_is_unavailable(certs_dir: Path) -> None:
    async with https_drain(tls_server(certs_dir)) as drain:
        nobody = url(drain, "https")
    async with open_writer(nobody, binding(certs_dir), settings()) as writer:
        with pytest.raises(DrainUnavailable, match=r"^Connection refused$"):
            await writer.write(lines("one"))
