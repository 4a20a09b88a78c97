"""The writer over HTTPS that sends many messages a request, against real sockets."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syslog_adapter.writers import DrainUnavailable, Written, open_writer
from syslog_adapter.writers.https_batch import bodies
from syslog_adapter.writers.writer import Form
from tests.unit.syslog_adapter.writers.drains import binding, https_drain, lines, message, settings, tls_server, url


async def test_messages_go_out_joined(certs_dir: Path) -> None:
    async with https_drain(tls_server(certs_dir)) as drain:
        async with open_writer(url(drain, "https-batch"), binding(certs_dir), settings()) as writer:
            assert await writer.write(lines("one", "two")) == Written(2, 0, 0)

    assert [body for _, body in drain.requests] == [message("one") + message("two")]


async def test_what_earlier_requests_brought_is_not_sent_again(certs_dir: Path) -> None:
    async with https_drain(tls_server(certs_dir)) as drain:
        drain.answers[:] = [b"200 OK", b"413 Too much"]
        small = settings(batch_max_bytes=150)
        async with open_writer(url(drain, "https-batch"), binding(certs_dir), small) as writer:
            with pytest.raises(DrainUnavailable, match="413") as caught:
                await writer.write(lines("one", "two", "three", "four"))

    assert (caught.value.done, caught.value.written) == (2, Written(2, 0, 0))
    assert [body for _, body in drain.requests] == [
        message("one") + message("two"),
        message("three") + message("four"),
    ]


@given(st.lists(st.integers(0, 300)), st.integers(1, 400))
def test_bodies_hold_every_message_once_and_in_order(sizes: list[int], max_bytes: int) -> None:
    texts = ["x" * size for size in sizes]
    messages = Form(b"host", 63, True).messages(lines(*texts))

    found = list(bodies(messages, max_bytes))

    assert b"".join(body for body, _ in found) == b"".join(map(message, texts))
    assert all(len(body) <= max_bytes or body.count(b"<14>1 ") == 1 for body, _ in found)
    assert [end for _, end in found] == sorted({end for _, end in found} & set(messages.ends))
