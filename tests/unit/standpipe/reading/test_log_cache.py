"""What a log cache is asked, what it answers, and what becomes of an answer that is none."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from standpipe.errors import AccessDenied, CommandFailed, NotRunning
from standpipe.reading import https_client
from standpipe.reading.https_client import ServerError, ServerNotTrusted, ServerRefused, ServerUnavailable
from standpipe.reading.log_cache import LogCache, explained, open_log_cache
from standpipe.system import System
from tests.fakes.cursor_log_cache import CursorLogCache, log
from tests.fakes.https_server import HttpsServer, Reply
from tests.unit.standpipe.reading.cache_in_memory import client_of, texts

EMPTY = b'{"envelopes":{"batch":[]}}'


def _client(answer: Callable[[httpx.Request], httpx.Response]) -> LogCache:
    client = httpx.AsyncClient(base_url="https://cache", transport=httpx.MockTransport(answer))
    return LogCache(client, "log-cache")


def _answers(status: int, content: bytes = b"", **headers: str) -> LogCache:
    return _client(lambda _: httpx.Response(status, content=content, headers=headers))


async def test_the_name_of_a_source_may_be_any_text() -> None:
    fake = CursorLogCache()
    fake.put(log("a", 1), source="cf/api?ä#")
    async with client_of(fake) as cache:
        assert texts((await cache.read("cf/api?ä#", {})).envelopes) == ["a"]
    assert fake.asked[0].url.raw_path == b"/api/v1/read/cf%2Fapi%3F%C3%A4%23?limit=1000"


async def test_several_types_are_several_parameters() -> None:
    fake = CursorLogCache()
    async with client_of(fake) as cache:
        await cache.read("shop", {"envelope_types": ["LOG", "GAUGE"]})
    assert fake.asked[0].url.params.get_list("envelope_types") == ["LOG", "GAUGE"]


async def test_one_envelope_that_is_too_large_is_an_end() -> None:
    with pytest.raises(ServerRefused, match="too large"):
        await _answers(429, b'{"code":8,"message":"too large"}').read("shop", {})


async def test_an_answer_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(https_client, "MAX_ANSWER_BYTES", 1000)
    with pytest.raises(ServerRefused, match="the answer has more than"):
        await _answers(200, b" " * 1001).ask("/api/v1/meta", {})


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b"{}"])
async def test_what_is_no_page_makes_no_sense(content: bytes) -> None:
    with pytest.raises(ServerUnavailable, match="makes no sense"):
        await _answers(200, content).read("shop", {})


async def test_a_refusal_is_in_the_servers_words() -> None:
    with pytest.raises(ServerRefused) as refused:
        await _answers(500, b'{"message":"limit (5000) must be 1000 or less"}').ask("/api/v1/query", {})
    assert str(refused.value) == "limit (5000) must be 1000 or less (HTTP 500)"


async def test_a_refusal_without_words_has_those_of_its_status() -> None:
    with pytest.raises(ServerRefused, match="Internal Server Error"):
        await _answers(500).ask("/api/v1/query", {})


# --- what a command says of it --------------------------------------------------------------------------------------


@pytest.fixture
def system(certs_dir: Path, tmp_path: Path) -> System:
    (tmp_path / "certs").symlink_to(certs_dir)
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens" / "admin").write_text("a-token\n")
    return System(data_dir=tmp_path, endpoints={"log_cache-0.rest": "127.0.0.1:1"})


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (ServerRefused(404, "Not Found"), AccessDenied, "no such source, or no access to it with this token"),
        (ServerRefused(401, "no token"), AccessDenied, "refused: no token (HTTP 401)"),
        (ServerRefused(400, "bad"), CommandFailed, "refused: bad (HTTP 400)"),
        (ServerRefused(503, "no more"), NotRunning, "refused: no more (HTTP 503)"),
        (ServerUnavailable("Connection refused"), NotRunning, "does not answer: Connection refused"),
        (ServerNotTrusted("its certificate: expired"), NotRunning, "not to be trusted: its certificate: expired"),
    ],
)
def test_every_failure_has_its_exit_code_and_its_words(
    system: System, error: ServerError, kind: type[CommandFailed], message: str
) -> None:
    with pytest.raises(kind) as failure, explained(system):
        raise error
    assert type(failure.value) is kind
    assert str(failure.value).startswith("log_cache.rest at 127.0.0.1:1")
    assert message in str(failure.value)


async def test_nobody_there_is_no_answer(system: System) -> None:
    async with open_log_cache(system) as cache:
        with pytest.raises(ServerUnavailable, match="Connection refused"):
            await cache.ask("/api/v1/meta", {})


async def test_a_server_of_another_authority_is_not_trusted(system: System, other_certs_dir: Path) -> None:
    server = HttpsServer(other_certs_dir, lambda _: Reply(200), leaf="log-cache")
    try:
        elsewhere = replace(system, endpoints={"log_cache-0.rest": server.url.removeprefix("https://")})
        async with open_log_cache(elsewhere) as cache:
            with pytest.raises(ServerNotTrusted, match="its certificate"):
                await cache.ask("/api/v1/meta", {})
    finally:
        server.close()
