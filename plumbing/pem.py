"""Read certificates and private keys from PEM files, and say plainly which file is wrong and how."""

from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

SigningKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class PemError(ValueError):
    """A file is missing, cannot be read or holds something else; the message begins with its path."""


def read_certificates(path: Path) -> list[x509.Certificate]:
    """Return the certificates in a file, one at least, in their order."""
    pem = _read(path)
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise PemError(f"{path}: not a PEM certificate") from error


def read_key(path: Path) -> SigningKey:
    """Return the private key in a file."""
    pem = _read(path)
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: it is encrypted
        raise PemError(f"{path}: not an unencrypted PEM private key") from error
    if not isinstance(key, SigningKey):
        raise PemError(f"{path}: neither an RSA nor an ECDSA key")
    return key


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PemError(f"{path}: {error.strerror or error}") from error
