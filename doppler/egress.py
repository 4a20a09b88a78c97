"""Serve subscribers: the gRPC services `loggregator.v2.Egress` and `plumbing.Doppler` (loggregator.md 1.8, 2.1, 2.3).

In:    what the two routers owe to a subscription.
Out:   batches; for `Subscribe`, one envelope to a message.
Drops: nothing here; what a broken stream did not deliver goes back to its subscription.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from doppler.register import TooManySubscriptions
from doppler.router import Router
from doppler.subscription import Reader
from doppler.v1_router import V1Router, parse_subscription
from envelope.errors import DecodeError
from envelope.framing import frames
from envelope.selectors import parse_request
from plumbing.egress_server import RequestRefused, batches, refused, singles
from plumbing.grpc_server import Service

V1_EGRESS = "plumbing.Doppler"
R = TypeVar("R")


def v2_service(router: Router) -> Service:
    """Give the methods to be served under the name `plumbing.egress_server.EGRESS`."""
    return {
        "BatchedReceiver": batches(partial(_open, parse_request, router.subscribe), partial(_change, router)),
        "Receiver": refused("UNIMPLEMENTED", "use BatchedReceiver instead"),
    }


def v1_service(router: V1Router) -> Service:
    """Give the methods to be served under the name `V1_EGRESS`, with two that old clients may still ask for.

    Each field of a `BatchResponse` is a whole `Response`.
    """
    open_reader = partial(_open, parse_subscription, router.subscribe)
    return {
        "BatchSubscribe": batches(open_reader),
        "Subscribe": singles(open_reader, frames),
        "ContainerMetrics": refused("UNIMPLEMENTED", "container metrics are not kept here: ask the log cache"),
        "RecentLogs": refused("UNIMPLEMENTED", "recent logs are not kept here: ask the log cache"),
    }


def _open(parse: Callable[[bytes], R], subscribe: Callable[[R], Reader], message: bytes) -> Reader:
    try:
        return subscribe(parse(message))
    except DecodeError as error:
        raise RequestRefused("INVALID_ARGUMENT", str(error)) from error
    except TooManySubscriptions as error:
        raise RequestRefused("RESOURCE_EXHAUSTED", str(error)) from error


def _change(router: Router, reader: Reader, message: bytes) -> None:
    try:
        router.change(reader, parse_request(message))
    except ValueError as error:
        raise RequestRefused("INVALID_ARGUMENT", str(error)) from error
