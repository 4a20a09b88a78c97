"""The log cache of a running system as programs of others meet it: gRPC at the agent's door, REST with a token."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator, Sequence
from typing import Any

import httpx

from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from log_cache.placement import Placement
from plumbing.tls import TlsFiles, client_context
from tests.end_to_end.systems import RunningUp
from tests.running import dial

_SEND = "/loggregator.v2.Ingress/Send"
_AT_ONCE = 500


def send(system: RunningUp, envelopes: Sequence[Envelope]) -> None:
    """Send envelopes as they are, with the times that they have, and wait for the agent's answers."""
    with dial(system.endpoints["metron"], system.data_dir / "certs", "metron") as channel:
        for start in range(0, len(envelopes), _AT_ONCE):
            batch = EnvelopeBatch(batch=envelopes[start : start + _AT_ONCE])
            channel.unary_unary(_SEND)(batch.SerializeToString(), timeout=30)


def logs(source: str, times: Sequence[int], text: str = "line") -> list[Envelope]:
    """Logs of these times, numbered."""
    return [
        Envelope(source_id=source, timestamp=time, log={"payload": f"{text} {number}".encode()})
        for number, time in enumerate(times)
    ]


def ask(system: RunningUp, path: str, node: int = 0, door: str = "", **query: str) -> httpx.Response:
    """Ask the REST door of a node, or another `door`, with the token of an admin."""
    files = TlsFiles.named(system.data_dir / "certs", "client")
    headers = {"authorization": f"bearer {(system.data_dir / 'tokens' / 'admin').read_text().strip()}"}
    address = system.endpoints[door or f"log_cache-{node}.rest"]
    with httpx.Client(verify=client_context(files.ca), trust_env=False, timeout=30, headers=headers) as client:
        return client.get(f"https://{address}{path}", params=query)


def read(system: RunningUp, source: str, node: int = 0, **query: str) -> list[str]:
    """Read the logs of a source through a node: what they say."""
    return payloads(_batch(ask(system, f"/api/v1/read/{source}", node, **query)))


def pages(system: RunningUp, source: str, node: int = 0, limit: int = 1000) -> Iterator[list[str]]:
    """Read all that is held of a source in order of arrival."""
    cursor, rest = "", True
    while rest:
        answer = ask(system, f"/api/v1/read/{source}", node, cursor=cursor, limit=str(limit))
        yield payloads(_batch(answer))
        cursor, rest = answer.headers["standpipe-cursor"], "standpipe-rest" in answer.headers


def held(system: RunningUp, node: int = 0) -> dict[str, int]:
    """How many envelopes of each source the log cache holds, as of a second ago at most; nothing while it is away."""
    try:
        answer = ask(system, "/api/v1/meta", node).raise_for_status()
    except httpx.HTTPError:
        return {}
    return {source: int(info["count"]) for source, info in answer.json().get("meta", {}).items()}


def source_of(node: int, nodes: int) -> str:
    """The name of a source that belongs to a node."""
    placement = Placement(nodes)
    return next(name for name in (f"app-{each}" for each in range(1000)) if placement.node_of(name.encode()) == node)


def payloads(envelopes: Sequence[dict[str, Any]]) -> list[str]:
    """What logs say, as protojson has them."""
    return [b64decode(each["log"]["payload"]).decode() for each in envelopes]


def _batch(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.is_success, answer.text
    batch: list[dict[str, Any]] = answer.json()["envelopes"]["batch"]
    return batch
