"""Make the certificates of one installation: a CA of its own, and a leaf for every server and client.

Every step is one rename, so a kill at any moment leaves a usable set. That works because keys outlive certificates:
a sound key is kept when its certificate is made anew, the CA's too, so a renewed CA and the leaves of the one before
it still accept each other. To have a new key, delete the old one.
"""

import ipaddress
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from plumbing.pem import PemError, SigningKey, read_certificates, read_key
from plumbing.private_files import PUBLIC, locked, write_file

LEAF_OF = {
    "doppler": "doppler",
    "metron": "metron",
    "traffic_controller": "trafficcontroller",
    "reverse_log_proxy": "reverselogproxy",
    "log_cache": "log-cache",
    "syslog_adapter": "syslog-adapter",
    "nozzles": "nozzle",
    "event_store": "event-store",
}
"""The leaf of each kind of component: the names are those that the original's are called by."""

LEAVES = (*LEAF_OF.values(), "client")
"""The names of the files; each is also the server name that whoever dials it demands of its certificate."""

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
"""What every leaf answers to besides its own name, so that tools on the same machine need no override."""

CA_LIFE = timedelta(days=3652)
LEAF_LIFE = timedelta(days=365)
RENEW_WITHIN = timedelta(days=30)
CLOCK_SKEW = timedelta(minutes=5)
KEY_BITS = 2048  # of RSA: the TLS 1.2 suites of the original know no other kind of key

_CA_SUBJECT = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Standpipe CA")])
_USES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
    *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)
_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_DNS_NAME = re.compile(rf"(?=.{{1,253}}$)(\*\.)?{_LABEL}(\.{_LABEL})*", re.ASCII | re.IGNORECASE)


class CertsError(Exception):
    """The certificates cannot be made: put right what the message names, and run again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate made just now, and why."""

    name: str
    certificate: Path
    key: Path
    expires: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class _Pair:
    """The two files of one name and what they hold: None for what is missing."""

    directory: Path
    name: str
    certificate: x509.Certificate | None
    key: SigningKey | None

    @property
    def certificate_path(self) -> Path:
        return self.directory / f"{self.name}.crt"

    @property
    def key_path(self) -> Path:
        return self.directory / f"{self.name}.key"

    def signed(self, by: SigningKey, builder: x509.CertificateBuilder) -> "_Pair":
        """Write the certificate that `builder` describes, and return the pair that has it."""
        certificate = builder.sign(by, hashes.SHA256())
        write_file(self.certificate_path, certificate.public_bytes(serialization.Encoding.PEM), PUBLIC)
        return replace(self, certificate=certificate)

    def issued(self, reason: str) -> Issued:
        assert self.certificate is not None
        expires = self.certificate.not_valid_after_utc
        return Issued(
            name=self.name, certificate=self.certificate_path, key=self.key_path, expires=expires, reason=reason
        )


def make_certs(directory: Path, *, now: datetime, renew: bool = False, extra_sans: Sequence[str] = ()) -> list[Issued]:
    """Leave a CA and every leaf in `directory`, each good for 30 days at least; return what had to be made for that.

    `renew` makes every leaf anew. `extra_sans` are further DNS names and IP addresses that every leaf answers to;
    a leaf made anew keeps those it had.
    """
    extra_names = [_general_name(text) for text in (*LOCAL_NAMES, *extra_sans)]
    try:
        with locked(directory):
            return list(_made(directory, extra_names, now.astimezone(UTC), renew))
    except OSError as error:
        raise CertsError(f"{error.filename or directory}: {error.strerror or error}") from error


def _made(directory: Path, extra_names: list[x509.GeneralName], now: datetime, renew: bool) -> Iterator[Issued]:
    ca = _load_ca(directory)
    if reason := _ca_flaw(ca, now):
        ca = _renew_ca(ca, now)
        yield ca.issued(reason)
        renew = True
    for name in LEAVES:
        names = [x509.DNSName(name), *extra_names]
        leaf = _load_leaf(directory, name)
        if reason := _leaf_flaw(leaf, ca, names, now) or ("renewed" if renew else ""):
            leaf = _renew_leaf(leaf, ca, names, now)
            yield leaf.issued(reason)


def _load_ca(directory: Path) -> _Pair:
    """Read the CA. Its key may be kept elsewhere for as long as nothing has to be signed."""
    ca = _Pair(directory, "ca", None, None)
    try:
        certificate = read_certificates(ca.certificate_path)[0] if ca.certificate_path.exists() else None
        key = read_key(ca.key_path) if ca.key_path.exists() else None
    except PemError as error:
        raise CertsError(str(error)) from error
    if certificate is not None and not _is_ca(certificate):
        raise CertsError(f"{ca.certificate_path}: not the certificate of a CA")
    if certificate is not None and key is not None and key.public_key() != certificate.public_key():
        raise CertsError(f"{ca.key_path}: not the key of {ca.certificate_path}")
    return replace(ca, certificate=certificate, key=key)


def _load_leaf(directory: Path, name: str) -> _Pair:
    """Read a leaf; what is damaged or of another kind than ours counts as missing, because it can be made anew."""
    leaf = _Pair(directory, name, None, None)
    with suppress(PemError):
        leaf = replace(leaf, certificate=read_certificates(leaf.certificate_path)[0])
    with suppress(PemError):
        key = read_key(leaf.key_path)
        if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= KEY_BITS:
            leaf = replace(leaf, key=key)
    return leaf


def _ca_flaw(ca: _Pair, now: datetime) -> str:
    """Say why the CA has to be made anew; nothing if it is sound."""
    if ca.certificate is None:
        return "missing"
    return "" if _is_current(ca.certificate, now) else "not valid for long enough"


def _leaf_flaw(leaf: _Pair, ca: _Pair, names: list[x509.GeneralName], now: datetime) -> str:
    """Say why a leaf has to be made anew; nothing if it is sound."""
    if leaf.certificate is None or leaf.key is None:
        return "missing or damaged"
    if leaf.certificate.public_key() != leaf.key.public_key():
        return "not of its key"
    if not _signed_by(leaf.certificate, ca):
        return "not signed by the present CA"
    if not _is_current(leaf.certificate, now):
        return "not valid for long enough"
    return "" if set(names) <= set(_names(leaf.certificate)) else "lacks a name"


def _renew_ca(ca: _Pair, now: datetime) -> _Pair:
    """Sign the CA with its own key, the present one if there is one, under the name it has."""
    old = ca.certificate
    if old is not None and ca.key is None:
        raise CertsError(f"{ca.key_path}: missing, and needed to renew {ca.certificate_path}")
    if old is not None and old.subject != old.issuer:
        raise CertsError(f"{ca.certificate_path}: {_ca_flaw(ca, now)}, and must be renewed by the CA that signed it")
    subject = _CA_SUBJECT if old is None else old.subject
    key = ca.key or _new_key(ca.key_path)
    builder = (
        _builder(subject, key, now, now + CA_LIFE)
        .issuer_name(subject)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage("key_cert_sign", "crl_sign"), critical=True)
    )
    return replace(ca, key=key).signed(key, builder)


def _renew_leaf(leaf: _Pair, ca: _Pair, names: list[x509.GeneralName], now: datetime) -> _Pair:
    """Sign a leaf, for the key it has if that is sound, with `names` and those it had before."""
    assert ca.certificate is not None
    if ca.key is None:
        raise CertsError(f"{ca.key_path}: missing, and needed to sign {leaf.certificate_path}")
    had = _names(leaf.certificate) if leaf.certificate is not None else []
    names = list(dict.fromkeys([*names, *(had if names[0] in had else [])]))
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, leaf.name)])
    key = leaf.key or _new_key(leaf.key_path)
    builder = (
        _builder(subject, key, now, min(now + LEAF_LIFE, ca.certificate.not_valid_after_utc))
        .issuer_name(ca.certificate.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage("digital_signature", "key_encipherment"), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(_key_identifier(ca.certificate, ca.key), critical=False)
    )
    return replace(leaf, key=key).signed(ca.key, builder)


def _builder(subject: x509.Name, key: SigningKey, now: datetime, expires: datetime) -> x509.CertificateBuilder:
    """Begin a certificate with what the CA and the leaves have in common."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(expires)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*allowed: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{use: use in allowed for use in _USES})


def _new_key(path: Path) -> rsa.RSAPrivateKey:
    """Make a key and write it before anything speaks of it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_file(path, pem)
    return key


def _is_current(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - RENEW_WITHIN


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _signed_by(leaf: x509.Certificate, ca: _Pair) -> bool:
    assert ca.certificate is not None
    try:
        leaf.verify_directly_issued_by(ca.certificate)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _names(certificate: x509.Certificate) -> list[x509.GeneralName]:
    """Return the names a certificate answers to."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return list(names)


def _key_identifier(ca: x509.Certificate, key: SigningKey) -> x509.AuthorityKeyIdentifier:
    """Name the key of the CA as its certificate does: there is more than one way to derive the identifier."""
    try:
        identifier = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _general_name(text: str) -> x509.GeneralName:
    with suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(text))
    if not _DNS_NAME.fullmatch(text):
        raise CertsError(f"{text!r} is neither a DNS name nor an IP address")
    return x509.DNSName(text.lower())
