"""What every gRPC door looks like from outside, handshake by handshake and frame by frame (loggregator.md 0.1, 2.1)."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    PingAckReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    TrailersReceived,
)
from h2.settings import SettingCodes

import doppler
import reverse_log_proxy
from envelope.pb import loggregator_v2_pb2 as v2
from plumbing import grpc_server
from plumbing.lifecycle import Ports
from tests.fakes.http2_client import connect, go_context
from tests.running import running

DOORS = {"doppler": "doppler", "metron": "metron", "reverse_log_proxy": "reverselogproxy"}
"""Each component that serves gRPC, and the name that those who dial it demand of its certificate."""

BATCH_SENDER = "/loggregator.v2.Ingress/BatchSender"
BATCHED_RECEIVER = "/loggregator.v2.Egress/BatchedReceiver"
BATCH = v2.EnvelopeBatch(batch=[v2.Envelope(source_id="app", log={"payload": b"text"})]).SerializeToString()
ALL_LOGS = v2.EgressBatchRequest(selectors=[v2.Selector(log={})], use_preferred_tags=True).SerializeToString()
EMPTY_MESSAGE = b"\0\0\0\0\0"


@asynccontextmanager
async def door(room: str, certs: Path) -> AsyncIterator[str]:
    nowhere = {} if room == "doppler" else {"doppler_addresses": ["127.0.0.1:1"]}
    async with running(room, certs, drain_grace_s=0.2, **nowhere) as ports:
        yield ports["listen"]


@pytest.fixture(params=DOORS)
async def room(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def address(room: str, certs_dir: Path) -> AsyncIterator[str]:
    async with door(room, certs_dir) as address:
        yield address


@pytest.fixture
async def router(certs_dir: Path) -> AsyncIterator[Ports]:
    async with running("doppler", certs_dir, drain_grace_s=0.2) as ports:
        yield ports


# --- TLS --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "suite"),
    [
        (ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-AES128-GCM-SHA256"),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-AES256-GCM-SHA384"),
        (ssl.TLSVersion.TLSv1_3, "TLS_AES_128_GCM_SHA256"),
    ],
)
async def test_the_suites_of_the_original_are_spoken_by_a_server_of_the_name_that_is_demanded(
    room: str, address: str, certs_dir: Path, version: ssl.TLSVersion, suite: str
) -> None:
    context = go_context(certs_dir)
    context.minimum_version = context.maximum_version = version
    if version is ssl.TLSVersion.TLSv1_2:
        context.set_ciphers(suite)

    async with connect(address, context, DOORS[room]) as client:
        cipher = client.tls.cipher()
        assert client.tls.selected_alpn_protocol() == "h2"
        assert cipher is not None
        assert cipher[0] == suite or version is ssl.TLSVersion.TLSv1_3


async def test_a_server_has_no_name_but_its_own(room: str, address: str, certs_dir: Path) -> None:
    (other, *_) = set(DOORS.values()) - {DOORS[room]}

    with pytest.raises(trio.BrokenResourceError) as refusal:
        async with connect(address, go_context(certs_dir), other):
            pass

    assert "Hostname mismatch" in str(refusal.value.__cause__)


def named_anyhow(certs: Path, directory: Path) -> ssl.SSLContext:
    """Return the context of a client whose certificate has a CN that nobody knows, no SAN and no usage."""
    authority = x509.load_pem_x509_certificate((certs / "ca.crt").read_bytes())
    signing_key = serialization.load_pem_private_key((certs / "ca.key").read_bytes(), None)
    key, now = rsa.generate_private_key(65537, 2048), datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "whoever")]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(hours=1))
        .sign(signing_key, hashes.SHA256())  # type: ignore[arg-type]
    )
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    (directory / "crt").write_bytes(certificate.public_bytes(pem))
    (directory / "key").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    context = go_context(certs, None)
    context.load_cert_chain(directory / "crt", directory / "key")
    return context


async def test_a_client_of_our_authority_is_served_whatever_its_name(
    room: str, address: str, certs_dir: Path, tmp_path: Path
) -> None:
    async with connect(address, named_anyhow(certs_dir, tmp_path), DOORS[room]) as client:
        number = await client.call("/no.such.Service/Method")
        await client.half_close(number)
        await client.hear_end(number)


def without_certificate(certs: Path, _: Path) -> ssl.SSLContext:
    return go_context(certs, None)


def of_another_authority(certs: Path, other_certs: Path) -> ssl.SSLContext:
    context = go_context(certs, None)
    context.load_cert_chain(other_certs / "client.crt", other_certs / "client.key")
    return context


def without_protocol(certs: Path, _: Path) -> ssl.SSLContext:
    context = go_context(certs)
    context.set_alpn_protocols(["http/1.1"])
    return context


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def of_old_tls(certs: Path, _: Path) -> ssl.SSLContext:
    context = go_context(certs)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def of_another_suite(certs: Path, _: Path) -> ssl.SSLContext:
    context = go_context(certs)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-RSA-AES128-SHA:AES128-GCM-SHA256")
    return context


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
@pytest.mark.parametrize(
    "make", [without_certificate, of_another_authority, without_protocol, of_old_tls, of_another_suite]
)
async def test_a_client_that_the_original_would_not_serve_gets_no_answer(
    room: str, address: str, certs_dir: Path, other_certs_dir: Path, make: object
) -> None:
    assert callable(make)
    with pytest.raises((trio.BrokenResourceError, EOFError)):
        async with connect(address, make(certs_dir, other_certs_dir), DOORS[room]) as client:
            await client.hear(RemoteSettingsChanged)  # in TLS 1.3 a client learns of it only now


async def test_plaintext_is_turned_away(room: str, address: str) -> None:
    def call() -> grpc.StatusCode:
        with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as refusal:
            channel.unary_unary("/loggregator.v2.Ingress/Send")(b"", timeout=10)
        code: grpc.StatusCode = refusal.value.code()
        return code

    assert await trio.to_thread.run_sync(call) is grpc.StatusCode.UNAVAILABLE


# --- frames -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", ["doppler", "metron"])
async def test_a_stream_of_envelopes_is_answered_with_nothing_until_it_ends_and_then_once(
    room: str, certs_dir: Path
) -> None:
    async with door(room, certs_dir) as address, connect(address, go_context(certs_dir), DOORS[room]) as client:
        stream = await client.call(BATCH_SENDER, ("x-unknown", "1"), ("x-unknown-bin", "AAEC"))
        for _ in range(3):
            await client.send(stream, BATCH)
        await client.ping()
        await client.hear(PingAckReceived)  # all before it has been read
        assert client.frames(stream) == []

        await client.half_close(stream)
        await client.hear_end(stream)

        assert client.frames(stream) == ["headers", "data", "trailers", "end"]
        head = client.headers(ResponseReceived, stream)
        assert (head[":status"], head["content-type"]) == ("200", "application/grpc")
        assert not any(name.startswith("standpipe") for name in head)
        assert client.data(stream) == EMPTY_MESSAGE
        assert client.headers(TrailersReceived, stream)["grpc-status"] == "0"


async def test_a_subscriber_that_has_said_all_at_once_gets_headers_before_there_is_anything_to_read(
    router: Ports, certs_dir: Path
) -> None:
    async with connect(router["listen"], go_context(certs_dir), "doppler") as client:
        stream = await client.call(BATCHED_RECEIVER)
        await client.send(stream, ALL_LOGS)
        await client.half_close(stream)
        await client.hear(ResponseReceived)
        assert client.frames(stream) == ["headers"]
        assert not any(name.startswith("standpipe") for name in client.headers(ResponseReceived, stream))

        sender = await client.call(BATCH_SENDER)
        await client.send(sender, BATCH)

        await client.hear(DataReceived, lambda event: event.stream_id == stream)
        assert client.data(stream)[5:] == BATCH


async def test_an_empty_request_is_a_request(router: Ports, certs_dir: Path) -> None:
    async with connect(router["listen"], go_context(certs_dir), "doppler") as client:
        everything = await client.call("/plumbing.Doppler/BatchSubscribe")
        nothing = await client.call(BATCHED_RECEIVER)
        for stream in (everything, nothing):
            await client.send(stream, b"")
            await client.half_close(stream)
            await client.hear(ResponseReceived, lambda event, stream=stream: event.stream_id == stream)

        sender = await client.call(BATCH_SENDER)
        await client.send(sender, BATCH)

        await client.hear(DataReceived, lambda event: event.stream_id == everything)
        assert client.data(nothing) == b""


async def test_a_call_that_asks_for_nothing_is_told_so(router: Ports, certs_dir: Path) -> None:
    async with connect(router["listen"], go_context(certs_dir), "doppler") as client:
        stream = await client.call(BATCHED_RECEIVER)
        await client.half_close(stream)

        await client.hear_end(stream)

        trailers = client.headers(TrailersReceived if client.heard(TrailersReceived) else ResponseReceived, stream)
        assert trailers["grpc-status"] == str(grpc.StatusCode.INVALID_ARGUMENT.value[0])


@pytest.mark.parametrize("path", ["/no.such.Service/Method", "/loggregator.v2.Ingress/NoSuchMethod"])
async def test_a_method_that_is_not_there_is_unimplemented(room: str, address: str, certs_dir: Path, path: str) -> None:
    async with connect(address, go_context(certs_dir), DOORS[room]) as client:
        stream = await client.call(path)
        await client.send(stream, b"")
        await client.half_close(stream)

        await client.hear_end(stream)

        (answer,) = client.heard(ResponseReceived)
        assert dict(answer.headers)["grpc-status"] == str(grpc.StatusCode.UNIMPLEMENTED.value[0])


# --- connections ------------------------------------------------------------------------------------------------------


async def test_pings_without_a_call_are_answered(room: str, certs_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trap of 0.1: a server of gRPC's defaults sends such a client away with "too_many_pings".

    The least interval is a hundredth of the true one here.
    """
    options = dict(grpc_server.OPTIONS)
    name = "grpc.http2.min_ping_interval_without_data_ms"
    monkeypatch.setattr(grpc_server, "OPTIONS", [*(options | {name: options[name] // 100}).items()])
    async with door(room, certs_dir) as address, connect(address, go_context(certs_dir), DOORS[room]) as client:
        for number in range(1, 9):
            await client.ping()
            await client.hear(PingAckReceived, lambda _, number=number: len(client.heard(PingAckReceived)) == number)
            await trio.sleep(0.11)  # the pace is what is tested

        assert client.heard(ConnectionTerminated) == []


async def test_too_many_pings_are_what_a_connection_ends_by(room: str, address: str, certs_dir: Path) -> None:
    async with connect(address, go_context(certs_dir), DOORS[room]) as client:
        await client.ping(times=6)

        goodbye = await client.hear(ConnectionTerminated)

        assert goodbye.additional_data == b"too_many_pings"


async def test_a_connection_may_have_more_streams_than_there_are_places_for_readers(
    room: str, address: str, certs_dir: Path
) -> None:
    """So that one reader too many is told so: beyond this limit a client waits in silence."""
    async with connect(address, go_context(certs_dir), DOORS[room]) as client:
        await client.hear(RemoteSettingsChanged)

        (settings, *_) = client.heard(RemoteSettingsChanged)

    streams = settings.changed_settings[SettingCodes.MAX_CONCURRENT_STREAMS].new_value
    assert streams > doppler.Config.model_fields["max_subscriptions"].default
    assert streams > reverse_log_proxy.Config.model_fields["max_egress_streams"].default
