"""Turn certificate files into what speaks TLS: `ssl` contexts and gRPC credentials.

Whatever is wrong with a file is found here, before any socket opens, and named. A server that asks for a client's
certificate checks who signed it and never looks at the name in it; a client checks the server's name.
"""

import ssl
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import BaseModel, ConfigDict

from plumbing.pem import PemError, read_certificates, read_key

TLS12_CIPHERS = "ECDHE+AESGCM"
"""The suites of the original, and the same with an ECDSA certificate; those of TLS 1.3 are all on."""


class TlsError(ValueError):
    """A file cannot be used for TLS: put right what the message names, and start again."""


class TlsFiles(BaseModel):
    """Who one side of a connection is, and whom it trusts: paths of PEM files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ca: Path
    """Certificates of those who may sign the other side's certificate."""

    cert: Path
    """Certificate of this side, followed by intermediate ones if there are any."""

    key: Path
    """Private key of `cert`, not encrypted."""

    @classmethod
    def named(cls, directory: Path, name: str) -> "TlsFiles":
        """Return the files of one leaf in a directory that `make_certs` filled."""
        return cls(ca=directory / "ca.crt", cert=directory / f"{name}.crt", key=directory / f"{name}.key")


def check_files(files: TlsFiles) -> None:
    """Raise `TlsError` unless all three files can be read and the key is that of the certificate."""
    _certificates(files.ca)
    _check_pair(files.cert, files.key)


def server_context(files: TlsFiles, *, require_client_cert: bool, alpn: Sequence[str] = ()) -> ssl.SSLContext:
    """Return the context of a server; with `require_client_cert` it serves only those whom `files.ca` vouches for."""
    check_files(files)
    context = _context(ssl.PROTOCOL_TLS_SERVER, alpn)
    _load_pair(context, files.cert, files.key)
    if require_client_cert:
        _trust(context, files.ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(
    ca: Path, cert: Path | None = None, key: Path | None = None, *, alpn: Sequence[str] = ()
) -> ssl.SSLContext:
    """Return the context of a client that trusts `ca`; `cert` and `key`, if given, are what it shows of itself."""
    context = _context(ssl.PROTOCOL_TLS_CLIENT, alpn)
    context.hostname_checks_common_name = False  # as in Go: only a name in the SAN counts
    _trust(context, ca)
    if cert is not None and key is not None:
        _check_pair(cert, key)
        _load_pair(context, cert, key)
    elif cert is not None or key is not None:
        raise TlsError(f"{cert or key}: a certificate and its key are given together or not at all")
    return context


def grpc_server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Return credentials of a gRPC server that serves only those whom `files.ca` vouches for, whatever their name."""
    check_files(files)
    pair = (files.key.read_bytes(), files.cert.read_bytes())
    return grpc.ssl_server_credentials([pair], root_certificates=files.ca.read_bytes(), require_client_auth=True)


def grpc_channel_credentials(files: TlsFiles) -> grpc.ChannelCredentials:
    """Return credentials of a gRPC client; the server's name is the target's, or `grpc.ssl_target_name_override`."""
    check_files(files)
    return grpc.ssl_channel_credentials(files.ca.read_bytes(), files.key.read_bytes(), files.cert.read_bytes())


def _context(protocol: int, alpn: Sequence[str]) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.set_ciphers(TLS12_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION
    if alpn:
        context.set_alpn_protocols(alpn)
    return context


def _trust(context: ssl.SSLContext, ca: Path) -> None:
    context.load_verify_locations(cadata=b"".join(c.public_bytes(Encoding.DER) for c in _certificates(ca)))
    context.verify_flags |= (
        ssl.VERIFY_X509_PARTIAL_CHAIN
    )  # as in Go and gRPC, an intermediate CA may be the one trusted


def _load_pair(context: ssl.SSLContext, cert: Path, key: Path) -> None:
    try:
        context.load_cert_chain(cert, key)
    except (ssl.SSLError, OSError) as error:
        raise TlsError(f"{cert}: cannot be used with {key}: {error}") from error


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        return read_certificates(path)
    except PemError as error:
        raise TlsError(str(error)) from error


def _check_pair(cert: Path, key: Path) -> None:
    """Raise `TlsError` unless `key` is that of `cert`; files that have not changed are not looked into again."""
    _check_pair_of(cert, key, (_stamp(cert), _stamp(key)))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


@lru_cache(maxsize=32)  # what a dial on the island would wait for: an RSA key takes tens of milliseconds
def _check_pair_of(cert: Path, key: Path, _: object) -> None:
    leaf = _certificates(cert)[0]
    try:
        matches = read_key(key).public_key() == leaf.public_key()
    except PemError as error:
        raise TlsError(str(error)) from error
    if not matches:
        raise TlsError(f"{key}: not the key of {cert}")
