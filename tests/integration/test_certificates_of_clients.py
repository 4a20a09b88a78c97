"""A client's certificate opens doors while it is good, and neither before nor after."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from plumbing.tls import client_context
from tests.raw_http import dial, request
from tests.running import running


def of_a_certificate(certs: Path, directory: Path, begins_s: float, ends_s: float) -> ssl.SSLContext:
    """Return the context of a client whose certificate, of our authority, is good from then to then."""
    authority = x509.load_pem_x509_certificate((certs / "ca.crt").read_bytes())
    signing_key = load_pem_private_key((certs / "ca.key").read_bytes(), None)
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "client")])
    certificate = (
        x509.CertificateBuilder(authority.subject, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now + timedelta(seconds=begins_s))
        .not_valid_after(now + timedelta(seconds=ends_s))
        .sign(signing_key, hashes.SHA256())  # type: ignore[arg-type]  # it is one that signs
    )
    (directory / "crt").write_bytes(certificate.public_bytes(Encoding.PEM))
    (directory / "key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = client_context(certs / "ca.crt", directory / "crt", directory / "key", alpn=["h2", "http/1.1"])
    context.check_hostname = False
    return context


@pytest.mark.parametrize("room", ["doppler", "metron", "reverse_log_proxy", "traffic_controller"])
async def test_a_certificate_opens_doors_while_it_is_good(certs_dir: Path, tmp_path: Path, room: str) -> None:
    """Those of gRPC, and everybody's `/metrics`."""
    settings = {} if room == "doppler" else {"doppler_addresses": ["127.0.0.1:9"]}
    if room == "traffic_controller":
        settings["auth"] = {"mode": "open"}
    async with running(room, certs_dir, drain_grace_s=0.2, **settings) as ports:
        doors = [ports["admin"]] if room == "traffic_controller" else [ports["admin"], ports["listen"]]
        for address in doors:
            assert await is_open(address, of_a_certificate(certs_dir, tmp_path, -60, 60))
            assert not await is_open(address, of_a_certificate(certs_dir, tmp_path, -60, -1))
            assert not await is_open(address, of_a_certificate(certs_dir, tmp_path, 60, 120))


async def is_open(address: str, context: ssl.SSLContext) -> bool:
    """Tell whether a client is heard: with TLS 1.3, it learns only after its handshake whether it may come in."""
    try:
        stream = await dial(address, context)
    except trio.BrokenResourceError:
        return False
    is_http2 = stream.selected_alpn_protocol() == "h2"
    try:
        await stream.send_all(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0" if is_http2 else request("/metrics")
        )
        with trio.fail_after(10):
            return bool(await stream.receive_some(9))
    except trio.BrokenResourceError:
        return False
    finally:
        await trio.aclose_forcefully(stream)
