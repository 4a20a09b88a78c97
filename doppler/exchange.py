"""Where what comes in meets the subscribers of both wires: converted only for a wire that somebody reads.

Hot path: `benchmarks/pipeline.py`, row "doppler".
"""

from __future__ import annotations

from collections.abc import Sequence

from doppler.router import Router
from doppler.v1_ingress import Pushed
from doppler.v1_router import V1Router
from envelope import kernel
from envelope.framing import frame
from envelope.kinds import Keep
from envelope.v1_to_v2 import to_v2
from plumbing.diode import Parcel
from plumbing.ledger import Account
from plumbing.self_metrics import KINDS


class Exchange:
    """Passes every envelope to both routers and shows the books of both."""

    def __init__(self, v2: Router, v1: V1Router) -> None:
        self._v2 = v2
        self._v1 = v1
        self.taken_in = 0
        """Envelopes from outside that were routed."""
        self.own = 0
        """Envelopes about this doppler itself that were routed."""
        self.without_v1 = 0
        """Envelopes that no v1 reader could be offered, while there were any: they have no form on that wire."""

    def accept(self, batch: bytes, count: int, kinds: int) -> None:
        """Route an admitted batch of v2 envelopes."""
        self.taken_in += count
        self._route(batch, count, kinds)

    def accept_v1(self, pushed: Sequence[Pushed]) -> None:
        """Route v1 envelopes; to v1 readers they go as the very bytes that came."""
        self.taken_in += len(pushed)
        if self._v1.subscriptions:
            self._v1.route([each.payload for each in pushed])
        if self._v2.subscriptions:
            converted = b"".join([frame(to_v2(each.envelope).SerializeToString()) for each in pushed])
            self._v2.route(*kernel.admit(converted)[:3])

    def accept_own(self, metrics: Parcel) -> None:
        """Route what this doppler has to say of itself."""
        self.own += metrics.envelopes
        self._route(metrics.batch, metrics.envelopes, KINDS)

    def expire(self, now: float) -> None:
        """End the subscriptions that nobody came back to."""
        self._v2.expire(now)
        self._v1.expire(now)

    def close(self) -> None:
        """Let every reader take what is held for it and see the end."""
        self._v2.close()
        self._v1.close()

    def accounts(self) -> list[Account]:
        """Show the books of the subscriptions of both wires."""
        return self._v2.accounts() + self._v1.accounts()

    @property
    def readers(self) -> int:
        """Open streams."""
        return self._v2.readers + self._v1.readers

    @property
    def subscriptions(self) -> int:
        """Subscriptions, lingering ones included."""
        return self._v2.subscriptions + self._v1.subscriptions

    @property
    def selected_sources(self) -> int:
        """Sources that some subscription asks for by name."""
        return self._v2.selected_sources

    def _route(self, batch: bytes, count: int, kinds: int) -> None:
        self._v2.route(batch, count, kinds)
        if self._v1.subscriptions:
            frames, _, without = kernel.v1_frames(batch, Keep.ALL)
            self._v1.route(kernel.ws_payloads(frames)[0])
            self.without_v1 += without
