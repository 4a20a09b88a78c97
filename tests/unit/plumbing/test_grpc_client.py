"""Errors of gRPC become ours, and attempts are spread out."""

import asyncio
import random
from pathlib import Path

import grpc
import hypothesis.strategies as st
import pytest
from grpc.aio import AioRpcError, Metadata
from hypothesis import given

from plumbing.grpc_client import Backoff, PeerRefused, PeerUnavailable, open_channel, translate
from plumbing.tls import TlsFiles


def error(code: grpc.StatusCode) -> AioRpcError:
    return AioRpcError(code, Metadata(), Metadata(), details="because")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.UNIMPLEMENTED, PeerRefused),
        (grpc.StatusCode.INVALID_ARGUMENT, PeerRefused),
        (grpc.StatusCode.PERMISSION_DENIED, PeerRefused),
        (grpc.StatusCode.UNAVAILABLE, PeerUnavailable),
        (grpc.StatusCode.UNKNOWN, PeerUnavailable),
    ],
)
def test_a_status_becomes_what_the_caller_can_do_about_it(code: grpc.StatusCode, kind: type[Exception]) -> None:
    translated = translate(error(code), "10.0.0.1:8082")

    assert type(translated) is kind
    assert str(translated) == f"10.0.0.1:8082: {code.name}: because"


def test_a_write_on_a_call_that_has_ended_is_a_peer_that_went_away() -> None:
    translated = translate(asyncio.InvalidStateError("RPC already finished."), "peer:1")

    assert type(translated) is PeerUnavailable
    assert str(translated) == "peer:1: error: RPC already finished."


def test_certificates_that_are_being_replaced_are_worth_another_try(certs_dir: Path, tmp_path: Path) -> None:
    old = TlsFiles.named(certs_dir, "metron")
    new = TlsFiles(ca=old.ca, cert=old.cert, key=tmp_path / "not-there-yet.key")

    with pytest.raises(PeerUnavailable, match=r"peer:1: not dialled: .*not-there-yet\.key"):
        open_channel("peer:1", new, "doppler")


@given(st.integers(0, 2**32))
def test_waits_double_up_to_a_bound_with_at_least_half_of_each(seed: int) -> None:
    backoff = Backoff(random.Random(seed), first_s=1, most_s=5)

    waits = [backoff.next_s() for _ in range(5)]

    assert all(bound / 2 <= wait <= bound for wait, bound in zip(waits, [1, 2, 4, 5, 5], strict=True))


def test_it_begins_anew_once_it_has_worked() -> None:
    backoff = Backoff(random.Random(1), first_s=1, most_s=5)
    for _ in range(3):
        backoff.next_s()

    backoff.reset()

    assert backoff.next_s() <= 1
