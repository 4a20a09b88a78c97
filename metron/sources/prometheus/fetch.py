"""Ask a target for its metrics: one request, bounded in what it may answer."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import httpx
import trio

from metron.sources.prometheus.config import Prometheus, ScrapeTarget
from plumbing.config import join_listen
from plumbing.tls import TlsError, client_context

ACCEPT = "text/plain;version=0.0.4;q=1,*/*;q=0.1"


class ScrapeFailed(Exception):
    """A target did not answer as it should: count it, and try again when its time comes."""


class Answer(NamedTuple):
    """What a target answered."""

    body: bytes
    content_type: str


def problem_of(target: ScrapeTarget, config: Prometheus) -> str:
    """Say why a target can never be scraped as it is set up; empty if it can."""
    if target.scheme == "https" and not target.server_name:
        return "an https target needs server_name, the name its certificate must carry"
    if target.scheme == "https" and not (target.ca_path or config.ca_path):
        return "an https target needs ca_path, here or for all targets"
    return ""


async def fetch(target: ScrapeTarget, config: Prometheus) -> Answer:
    """Get the whole answer, or raise `ScrapeFailed`. Bound the time outside.

    No redirect is followed, no proxy is asked, and nothing is unpacked: an answer that is compressed is a failed one.
    """
    headers = {"Accept": ACCEPT, **target.headers, "Accept-Encoding": "identity", "Connection": "close"}
    try:
        context = await trio.to_thread.run_sync(_context, target, config)
        async with (
            AsyncExitStack() as opened,
            httpx.AsyncClient(verify=context, trust_env=False, timeout=None) as client,  # noqa: S113
            client.stream("GET", url_of(target), headers=headers, extensions=_extensions(target, opened)) as response,
        ):
            return await _read(response, config.max_bytes)
    except (httpx.HTTPError, httpx.InvalidURL, TlsError) as error:
        raise ScrapeFailed(f"{type(error).__name__}: {error}"[:300]) from error


def url_of(target: ScrapeTarget) -> str:
    """Say where a target is."""
    return f"{target.scheme}://{join_listen(target.host, target.port)}/{target.path.removeprefix('/')}"


def _extensions(target: ScrapeTarget, opened: AsyncExitStack) -> dict[str, Any]:
    """Name whom the certificate must be for; have what is opened closed, which a cancelled handshake leaves open."""

    async def trace(event: str, info: Mapping[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            opened.push_async_callback(info["return_value"].aclose)

    return {"trace": trace} | ({"sni_hostname": target.server_name} if target.server_name else {})


async def _read(response: httpx.Response, max_bytes: int) -> Answer:
    if response.status_code != httpx.codes.OK:
        raise ScrapeFailed(f"status {response.status_code}")
    if (encoding := response.headers.get("content-encoding", "identity")) != "identity":
        raise ScrapeFailed(f"content-encoding {encoding[:40]}, though none was asked for")
    chunks: list[bytes] = []
    size = 0
    with trio.CancelScope() as enough:  # leaving the loop early would leave the generators below it to the collector
        async for chunk in response.aiter_raw():
            chunks.append(chunk)
            size += len(chunk)
            if size > max_bytes:
                enough.cancel()
    if size > max_bytes:
        raise ScrapeFailed(f"more than {max_bytes} bytes")
    return Answer(b"".join(chunks), response.headers.get("content-type", ""))


def _context(target: ScrapeTarget, config: Prometheus) -> ssl.SSLContext:
    """Read the certificates anew, so that new ones are used; for a target without TLS, trust nobody."""
    if target.scheme == "http":
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ca = target.ca_path or config.ca_path
    assert ca is not None, "problem_of was not asked"
    if target.client_cert_path or target.client_key_path:
        return client_context(ca, target.client_cert_path, target.client_key_path)
    return client_context(ca, config.client_cert_path, config.client_key_path)
