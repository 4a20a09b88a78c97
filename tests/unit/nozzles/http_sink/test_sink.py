"""How bodies are posted, and what each answer means."""

from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from nozzles.http_sink import HttpRefused, HttpSettings, open_http
from nozzles.http_sink.sink import MAX_ANSWER_BYTES
from nozzles.sdk import SinkDenied, SinkUnavailable
from tests.fakes.http_sink_server import Answer, HttpSinkServer, http_sink_server, secret_file
from tests.fakes.https_server import HttpsServer, Reply

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
BODY = b'{"a":1}' * 20_000


@pytest.fixture(name="server")
def _server() -> Iterator[HttpSinkServer]:
    with http_sink_server() as server:
        yield server


async def post(url: str, body: bytes = b"{}", **settings: Any) -> Any:
    async with open_http(HttpSettings(url=url, **settings)) as sink:
        return await sink.post(body, content_type="application/json")


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
async def test_a_body_arrives_compressed_as_asked_for(server: HttpSinkServer, compression: str) -> None:
    await post(server.url, BODY, compression=compression)

    assert server.posted[0].body == BODY
    assert server.posted[0].headers.get("content-encoding", "none") == compression
    assert server.posted[0].headers["content-type"] == "application/json"


async def test_a_connection_is_kept(server: HttpSinkServer) -> None:
    async with open_http(HttpSettings(url=server.url)) as sink:
        await sink.post(b"1", content_type="text/plain")
        await sink.post(b"2", content_type="text/plain")

    assert len({posted.peer for posted in server.posted}) == 1


async def test_path_and_query_join_those_of_the_url(server: HttpSinkServer) -> None:
    async with open_http(HttpSettings(url=f"{server.url}/base/?token=abc")) as sink:
        await sink.post(b"", path="/v1/x", query={"q": "a b"}, content_type="text/plain")

    assert server.posted[0].path == "/base/v1/x"
    assert server.posted[0].query == {"token": "abc", "q": "a b"}


async def test_headers_of_all_origins_are_sent(server: HttpSinkServer) -> None:
    async with open_http(HttpSettings(url=server.url, headers={"X-A": "1"}), headers={"X-B": "2"}) as sink:
        await sink.post(b"", content_type="text/plain", headers={"X-C": "3"})

    headers = server.posted[0].headers
    assert (headers["x-a"], headers["x-b"], headers["x-c"]) == ("1", "2", "3")


async def test_credentials_of_the_url_are_sent_as_basic_authentication(server: HttpSinkServer) -> None:
    await post(server.url.replace("//", "//me:secret@"))

    assert server.posted[0].headers["authorization"] == "Basic bWU6c2VjcmV0"


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_sink_says_when_to_come_again(server: HttpSinkServer, status: int) -> None:
    server.answers.append(Answer(status, headers={"Retry-After": "7"}))

    with pytest.raises(SinkUnavailable) as caught:
        await post(server.url)

    assert caught.value.retry_after_s == 7


@pytest.mark.parametrize("status", [408, 500, 502, 504])
async def test_a_failing_sink_is_unavailable(server: HttpSinkServer, status: int) -> None:
    server.answers.append(Answer(status))

    with pytest.raises(SinkUnavailable, match=f"HTTP {status}"):
        await post(server.url)


@pytest.mark.parametrize(
    ("status", "reason"), [(301, "refused"), (400, "refused"), (404, "refused"), (413, "too_large")]
)
async def test_every_other_answer_refuses(server: HttpSinkServer, status: int, reason: str) -> None:
    server.answers.append(Answer(status, b"no\nway", headers={"Location": "/elsewhere"}))

    with pytest.raises(HttpRefused, match=f"HTTP {status}: no way") as caught:
        await post(server.url)

    assert caught.value.reason == reason
    assert len(server.posted) == 1


@pytest.mark.parametrize("status", [401, 403, 407])
async def test_a_sink_that_does_not_let_us_in_is_unavailable_and_says_what_to_mend(
    server: HttpSinkServer, tmp_path: Path, status: int
) -> None:
    server.answer = lambda posted: Answer(status, f"no {posted.headers.get('authorization', '')}".encode())
    password = secret_file(tmp_path, "filesecret")

    with pytest.raises(SinkDenied, match=f"HTTP {status}: no; it is told nothing of us: set token_file, or username"):
        await post(server.url)
    with pytest.raises(SinkDenied, match="mend password_file, headers, or what the sink lets us do") as caught:
        await post(server.url, username="me", password_file=password, headers={"X-A": "headersecret"})

    assert "secret" not in str(caught.value)
    assert b64encode(b"me:filesecret").decode() not in str(caught.value)


async def test_a_secret_that_the_sink_repeats_is_not_told(server: HttpSinkServer) -> None:
    server.answer = lambda posted: Answer(400, f"bad {posted.headers['authorization']} {posted.query}".encode())

    with pytest.raises(HttpRefused) as caught:
        async with open_http(
            HttpSettings(url=f"{server.url}?key=querysecret"), headers={"Authorization": "Splunk headersecret"}
        ) as sink:
            await sink.post(b"", content_type="text/plain")

    assert "secret" not in str(caught.value)
    assert "bad …" in str(caught.value)


async def test_no_more_than_the_beginning_of_an_answer_is_told_or_read(server: HttpSinkServer) -> None:
    server.answers.append(Answer(400, b"x" * (2 * MAX_ANSWER_BYTES)))

    with pytest.raises(HttpRefused) as caught:
        await post(server.url)

    assert len(str(caught.value)) < 230
    assert len(caught.value.answer) == MAX_ANSWER_BYTES


async def test_half_an_answer_is_none(server: HttpSinkServer) -> None:
    server.answers.append(Answer(200, b"0123456789", how="half"))

    with pytest.raises(SinkUnavailable):
        await post(server.url)


async def test_a_sink_that_hangs_is_unavailable(server: HttpSinkServer) -> None:
    server.answers.append(Answer(how="hang"))

    with pytest.raises(SinkUnavailable, match=r"no answer within 0\.2 s"):
        await post(server.url, timeout_s=0.2)


async def test_a_sink_that_is_not_there_is_unavailable() -> None:
    with http_sink_server() as server:
        url = server.url

    with pytest.raises(SinkUnavailable):
        await post(url)


async def test_tls_trusts_the_ca_of_the_settings_alone(certs_dir: Path, other_certs_dir: Path) -> None:
    server = HttpsServer(certs_dir, lambda _: Reply(200), leaf="doppler", client_certs=True)
    files = {"tls_cert": certs_dir / "nozzle.crt", "tls_key": certs_dir / "nozzle.key"}
    try:
        await post(server.url, b"", tls_ca=certs_dir / "ca.crt", **files)
        with pytest.raises(SinkUnavailable):
            await post(server.url, b"", tls_ca=other_certs_dir / "ca.crt", **files)
        with pytest.raises(SinkUnavailable):
            await post(server.url, b"")
    finally:
        server.close()

    assert len(server.requests) == 1
