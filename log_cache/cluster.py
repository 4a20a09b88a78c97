"""The nodes of a cluster, seen from one of them (loggregator.md 4.2). Lives on the island.

In:    batches of any source, and questions about any.
Out:   to each node what is its; what is ours is given back.
Drops: as `log_cache.peer` says. Of a node that is away nothing is read: an empty answer, as the original gives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import structlog

from log_cache.peer import Peer
from log_cache.placement import Placement
from log_cache.query import Answer, Meta, Query
from plumbing.grpc_client import PeerUnavailable
from plumbing.ledger import Account
from plumbing.tls import TlsFiles
from plumbing.unary_client import CallFailed

log = structlog.get_logger(__name__)

_ASK_AGAIN_S = 0.5


class Cluster:
    """Every other node, and who holds what."""

    def __init__(self, addresses: Sequence[str], index: int, tls: TlsFiles) -> None:
        """Take the addresses of all nodes, in the order that all of them have, and which of them we are."""
        self._placement = Placement(len(addresses))
        self._index = index
        self._peers = {number: Peer(address, tls) for number, address in enumerate(addresses) if number != index}
        self._sending: list[asyncio.Task[None]] = []
        self._away: set[int] = set()
        """The nodes that did not answer when they were last asked to read."""

    def start(self) -> None:
        """Send to the peers what is theirs from now on, until `close`."""
        self._sending = [asyncio.ensure_future(peer.send()) for peer in self._peers.values()]

    async def close(self, grace_s: float) -> None:
        """Let what waits leave, for so long at most, and hang up."""
        for peer in self._peers.values():
            peer.close()
        if self._sending:
            _, late = await asyncio.wait(self._sending, timeout=grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*self._sending, return_exceptions=True)
        for peer in self._peers.values():
            await peer.hang_up()

    def is_local(self, source_id: str) -> bool:
        """Whether this node holds a source."""
        return self._placement.node_of(source_id.encode()) == self._index

    def forward(self, batch: bytes, count: int) -> tuple[bytes, int]:  # noqa: ARG002 - counted anew, by node
        """Keep for each peer what is its, and return what is ours: (batch, count)."""
        parts = self._placement.deal(batch)
        ours = parts.pop(self._index, (b"", 0))
        for node, part in parts.items():
            self._peers[node].keep(*part)
        return ours

    async def read(self, query: Query) -> Answer:
        """Ask the node that holds the source; raises `CallFailed` with what it says against it.

        While it is away the answer is empty, and a cursor stays where it is. A query that waits does so for the node
        too: whoever follows asks no more often than of one that is there.
        """
        node = self._placement.node_of(query.source_id.encode())
        loop = asyncio.get_running_loop()
        until = loop.time() + query.wait_s
        while True:
            left_s = max(0.0, until - loop.time())
            try:
                answer = await self._peers[node].read(replace(query, wait_s=left_s))
            except PeerUnavailable as error:
                self._is_away(node, error)
            else:
                self._away.discard(node)
                return answer
            if left_s == 0:
                return Answer(batch=b"", count=0, cursor=query.cursor or "")
            await asyncio.sleep(min(_ASK_AGAIN_S, left_s))

    async def meta(self) -> list[dict[str, Meta]]:
        """Ask every peer what it holds, all at once; those that fail are left out."""
        answers = await asyncio.gather(*(peer.meta() for peer in self._peers.values()), return_exceptions=True)
        found = []
        for answer in answers:
            if isinstance(answer, PeerUnavailable | CallFailed):
                log.info("meta_of_peer_failed", error=str(answer))
            elif isinstance(answer, BaseException):
                raise answer
            else:
                found.append(answer)
        return found

    @property
    def others(self) -> list[int]:
        """Which nodes are not this one."""
        return list(self._peers)

    def account(self, node: int) -> Account:
        """Show the books of one peer."""
        return self._peers[node].account()

    def accounts(self) -> list[Account]:
        """Show the books of every peer."""
        return [peer.account() for peer in self._peers.values()]

    def _is_away(self, node: int, error: PeerUnavailable) -> None:
        """Say so once, however many read."""
        if node not in self._away:
            self._away.add(node)
            log.info("peer_away", error=str(error))
