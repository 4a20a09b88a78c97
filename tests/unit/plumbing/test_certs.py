import shutil
import ssl
import stat
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from plumbing import private_files
from plumbing.certs import CA_LIFE, LEAF_LIFE, LEAVES, CertsError, make_certs

NOW = datetime.now(UTC)


FEW = ("doppler", "metron", "client")


@pytest.fixture
def certs(certs_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy that a test may spoil, with few leaves because reading a key takes long."""
    monkeypatch.setattr("plumbing.certs.LEAVES", FEW)
    (tmp_path / "certs").mkdir()
    for name in ("ca", *FEW):
        for kind in ("crt", "key"):
            shutil.copy2(certs_dir / f"{name}.{kind}", tmp_path / "certs")
    return tmp_path / "certs"


def certificate(directory: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((directory / f"{name}.crt").read_bytes())


def private_key(directory: Path, name: str) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key((directory / f"{name}.key").read_bytes(), password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def assert_usable(directory: Path) -> None:
    """Every leaf has its key, and the CA's certificate vouches for it."""
    ca = certificate(directory, "ca")
    for name in {path.stem for path in directory.glob("*.crt")} - {"ca"}:
        leaf = certificate(directory, name)
        leaf.verify_directly_issued_by(ca)
        assert leaf.public_key() == private_key(directory, name).public_key()


def names(leaf: x509.Certificate) -> x509.SubjectAlternativeName:
    return leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def write_certificate(directory: Path, name: str, key: ec.EllipticCurvePrivateKey, issuer: str, *, ca: bool) -> None:
    """Put a certificate of another maker in the place of one of ours."""
    built = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Elsewhere")]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=90))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (directory / f"{name}.crt").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (directory / f"{name}.key").write_bytes(pem)


def test_the_first_time_a_ca_and_every_leaf_are_made(tmp_path: Path) -> None:
    issued = make_certs(tmp_path / "certs", now=NOW)

    assert [each.name for each in issued] == ["ca", *LEAVES]
    assert {path.name for path in (tmp_path / "certs").iterdir()} == {
        f"{name}.{kind}" for name in ("ca", *LEAVES) for kind in ("crt", "key")
    }
    assert all(each.certificate.is_file() and each.key.is_file() for each in issued)
    assert_usable(tmp_path / "certs")


@pytest.mark.parametrize("name", ["ca", *LEAVES])
def test_keys_are_for_their_owner_alone(certs_dir: Path, name: str) -> None:
    assert stat.S_IMODE((certs_dir / f"{name}.key").stat().st_mode) == 0o600


def test_the_directory_is_for_its_owner_alone(certs_dir: Path) -> None:
    assert stat.S_IMODE(certs_dir.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", LEAVES)
def test_a_leaf_answers_to_the_name_its_diallers_demand_and_to_local_ones(certs_dir: Path, name: str) -> None:
    leaf = certificate(certs_dir, name)

    assert leaf.subject.rfc4514_string() == f"CN={name}"
    assert names(leaf).get_values_for_type(x509.DNSName) == [name, "localhost"]
    assert names(leaf).get_values_for_type(x509.IPAddress) == [ip_address("127.0.0.1"), ip_address("::1")]


def test_a_leaf_serves_clients_and_servers_and_signs_nothing(certs_dir: Path) -> None:
    extensions = certificate(certs_dir, "doppler").extensions

    assert set(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == {
        ExtendedKeyUsageOID.CLIENT_AUTH,
        ExtendedKeyUsageOID.SERVER_AUTH,
    }
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign


def test_keys_are_rsa_because_tls_12_of_the_original_knows_no_other(certs_dir: Path) -> None:
    assert private_key(certs_dir, "metron").key_size == 2048


def test_key_identifiers_lead_from_leaf_to_ca(certs_dir: Path) -> None:
    ca = certificate(certs_dir, "ca").extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    leaf = certificate(certs_dir, "doppler").extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value

    assert leaf.key_identifier == ca.digest


def test_certificates_begin_a_little_earlier_and_last_as_long_as_they_should(tmp_path: Path) -> None:
    now = NOW.replace(microsecond=0)
    make_certs(tmp_path, now=now)
    ca, leaf = certificate(tmp_path, "ca"), certificate(tmp_path, "doppler")

    assert ca.not_valid_before_utc == leaf.not_valid_before_utc == now - timedelta(minutes=5)
    assert ca.not_valid_after_utc == now + CA_LIFE
    assert leaf.not_valid_after_utc == now + LEAF_LIFE


def test_the_strictest_verification_accepts_them(certs_dir: Path) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certs_dir / "doppler.crt", certs_dir / "doppler.key")
    client = ssl.create_default_context(cafile=str(certs_dir / "ca.crt"))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    there = client.wrap_bio(to_client, to_server, server_hostname="doppler")
    here = server.wrap_bio(to_server, to_client, server_side=True)

    for side in (there, here, there, here):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue

    assert there.version() == "TLSv1.3"


def test_a_second_time_nothing_is_made(certs: Path) -> None:
    before = contents(certs)

    assert make_certs(certs, now=NOW + timedelta(days=300)) == []
    assert contents(certs) == before


def test_a_leaf_close_to_its_end_is_made_anew(certs: Path) -> None:
    issued = make_certs(certs, now=NOW + timedelta(days=336))

    assert [each.name for each in issued] == list(FEW)
    assert {each.reason for each in issued} == {"not valid for long enough"}
    assert certificate(certs, "doppler").not_valid_after_utc > NOW + timedelta(days=700)
    assert_usable(certs)


def test_a_leaf_from_the_future_is_made_anew(certs: Path) -> None:
    make_certs(certs, now=NOW + timedelta(days=100), renew=True)

    assert [each.name for each in make_certs(certs, now=NOW)] == list(FEW)


@pytest.mark.parametrize("missing", ["metron.crt", "metron.key"])
def test_a_leaf_with_a_file_missing_is_made_anew(certs: Path, missing: str) -> None:
    (certs / missing).unlink()

    assert [each.name for each in make_certs(certs, now=NOW)] == ["metron"]
    assert_usable(certs)


@pytest.mark.parametrize("spoilt", ["metron.crt", "metron.key"])
def test_a_damaged_leaf_is_made_anew(certs: Path, spoilt: str) -> None:
    (certs / spoilt).write_bytes(b"-----BEGIN NONSENSE-----")

    assert [each.name for each in make_certs(certs, now=NOW)] == ["metron"]
    assert_usable(certs)


def test_a_leaf_with_the_key_of_another_is_made_anew(certs: Path) -> None:
    shutil.copy(certs / "doppler.key", certs / "metron.key")

    assert [(each.name, each.reason) for each in make_certs(certs, now=NOW)] == [("metron", "not of its key")]
    assert_usable(certs)


def test_a_leaf_in_the_place_of_another_leaves_its_name_behind(certs: Path) -> None:
    for kind in ("crt", "key"):
        shutil.copy(certs / f"doppler.{kind}", certs / f"metron.{kind}")

    assert [each.name for each in make_certs(certs, now=NOW)] == ["metron"]
    assert names(certificate(certs, "metron")).get_values_for_type(x509.DNSName) == ["metron", "localhost"]


def test_a_leaf_with_a_key_that_the_original_cannot_use_is_made_anew(certs: Path) -> None:
    write_certificate(certs, "metron", ec.generate_private_key(ec.SECP256R1()), "Elsewhere", ca=False)

    assert [each.name for each in make_certs(certs, now=NOW)] == ["metron"]
    assert_usable(certs)


def test_leaves_of_another_ca_are_made_anew(certs: Path, other_certs_dir: Path) -> None:
    for kind in ("crt", "key"):
        shutil.copy(other_certs_dir / f"ca.{kind}", certs / f"ca.{kind}")

    issued = make_certs(certs, now=datetime.now(UTC))  # the other CA may be younger than NOW

    assert {(each.name, each.reason) for each in issued} == {(name, "not signed by the present CA") for name in FEW}
    assert_usable(certs)


def test_renew_makes_every_leaf_anew_and_keeps_the_ca(certs: Path) -> None:
    before = {name: certificate(certs, name).serial_number for name in ("ca", *FEW)}

    issued = make_certs(certs, now=NOW, renew=True)

    assert [each.name for each in issued] == list(FEW)
    assert {name for name in before if certificate(certs, name).serial_number == before[name]} == {"ca"}


def test_a_ca_close_to_its_end_is_made_anew_and_every_leaf_with_it(certs: Path) -> None:
    later = NOW + CA_LIFE - timedelta(days=29)

    issued = make_certs(certs, now=later)

    assert [each.name for each in issued] == ["ca", *FEW]
    assert certificate(certs, "ca").not_valid_after_utc > later + timedelta(days=3650)
    assert_usable(certs)


def test_a_leaf_does_not_outlive_its_ca(certs: Path) -> None:
    make_certs(certs, now=NOW + CA_LIFE - timedelta(days=40))

    assert certificate(certs, "doppler").not_valid_after_utc == certificate(certs, "ca").not_valid_after_utc


def test_old_leaves_and_a_renewed_ca_accept_each_other(certs: Path, certs_dir: Path) -> None:
    make_certs(certs, now=NOW + CA_LIFE - timedelta(days=29))

    certificate(certs_dir, "doppler").verify_directly_issued_by(certificate(certs, "ca"))
    certificate(certs, "doppler").verify_directly_issued_by(certificate(certs_dir, "ca"))


def test_a_key_outlives_its_certificate(certs: Path) -> None:
    before = {name: content for name, content in contents(certs).items() if name.endswith(".key")}

    make_certs(certs, now=NOW + CA_LIFE - timedelta(days=29))

    assert {name: content for name, content in contents(certs).items() if name.endswith(".key")} == before


def test_a_ca_without_certificate_signs_itself_and_its_leaves_stay_good(certs: Path, certs_dir: Path) -> None:
    (certs / "ca.crt").unlink()

    assert make_certs(certs, now=NOW)[0].name == "ca"
    certificate(certs_dir, "doppler").verify_directly_issued_by(certificate(certs, "ca"))


@pytest.mark.parametrize("renamed", range(1, 5))
def test_a_kill_at_any_rename_leaves_a_usable_set(certs: Path, renamed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    left = renamed

    def until_killed(directory: Path) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(private_files, "sync_directory", until_killed)
    with pytest.raises(KeyboardInterrupt):
        make_certs(certs, now=NOW + CA_LIFE - timedelta(days=29))

    assert_usable(certs)


def test_a_first_time_that_was_killed_is_finished_by_the_next(certs: Path) -> None:
    (certs / "ca.crt").unlink()  # as when only the key of the CA had been written
    for name in FEW:
        (certs / f"{name}.crt").unlink()

    assert [each.name for each in make_certs(certs, now=NOW)] == ["ca", *FEW]
    assert_usable(certs)


def test_extra_names_are_added_to_every_leaf(certs: Path) -> None:
    issued = make_certs(certs, now=NOW, extra_sans=["*.Logs.example.com", "10.0.0.7"])

    assert {each.reason for each in issued} == {"lacks a name"}
    for name in FEW:
        assert "*.logs.example.com" in names(certificate(certs, name)).get_values_for_type(x509.DNSName)
        assert ip_address("10.0.0.7") in names(certificate(certs, name)).get_values_for_type(x509.IPAddress)
    assert make_certs(certs, now=NOW, extra_sans=["10.0.0.7"]) == []


def test_extra_names_outlast_a_renewal(certs: Path) -> None:
    make_certs(certs, now=NOW, extra_sans=["logs.example.com"])
    make_certs(certs, now=NOW, renew=True)

    dns_names = names(certificate(certs, "doppler")).get_values_for_type(x509.DNSName)
    assert dns_names == ["doppler", "localhost", "logs.example.com"]


@pytest.mark.parametrize("name", ["", "two words", "-leading", "a..b", "x" * 64, "tüte.example", "http://host", "a\n"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(CertsError, match="neither a DNS name nor an IP address"):
        make_certs(tmp_path / "certs", now=NOW, extra_sans=[name])

    assert not (tmp_path / "certs").exists()


@pytest.mark.parametrize("spoilt", ["ca.key", "ca.crt"])
def test_a_damaged_ca_is_named_and_nothing_is_touched(certs: Path, spoilt: str) -> None:
    (certs / spoilt).write_bytes(b"nonsense")
    before = contents(certs)

    with pytest.raises(CertsError, match=f"{spoilt}: not a"):
        make_certs(certs, now=NOW, renew=True)

    assert contents(certs) == before


def test_an_encrypted_ca_key_is_named(certs: Path) -> None:
    encrypted = private_key(certs, "ca").private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
    )
    (certs / "ca.key").write_bytes(encrypted)

    with pytest.raises(CertsError, match=r"ca.key: not an unencrypted PEM private key"):
        make_certs(certs, now=NOW)


def test_a_ca_key_of_another_ca_is_named(certs: Path, other_certs_dir: Path) -> None:
    shutil.copy(other_certs_dir / "ca.key", certs / "ca.key")

    with pytest.raises(CertsError, match=r"ca.key: not the key of"):
        make_certs(certs, now=NOW)


def test_a_leaf_cannot_be_the_ca(certs: Path) -> None:
    shutil.copy(certs / "doppler.crt", certs / "ca.crt")

    with pytest.raises(CertsError, match="not the certificate of a CA"):
        make_certs(certs, now=NOW)


def test_without_the_key_of_the_ca_good_certificates_stay_good(certs: Path) -> None:
    (certs / "ca.key").unlink()

    assert make_certs(certs, now=NOW) == []


@pytest.mark.parametrize("days", [340, 3640])
def test_without_the_key_of_the_ca_nothing_can_be_signed(certs: Path, days: int) -> None:
    (certs / "ca.key").unlink()

    with pytest.raises(CertsError, match=r"ca.key: missing, and needed"):
        make_certs(certs, now=NOW + timedelta(days=days))


def test_a_ca_of_another_maker_signs_our_leaves(certs: Path) -> None:
    write_certificate(certs, "ca", ec.generate_private_key(ec.SECP256R1()), "Elsewhere", ca=True)

    assert [each.name for each in make_certs(certs, now=NOW)] == list(FEW)
    assert_usable(certs)


def test_an_intermediate_ca_close_to_its_end_is_renewed_by_whom_it_is_from(certs: Path) -> None:
    write_certificate(certs, "ca", ec.generate_private_key(ec.SECP256R1()), "Headquarters", ca=True)

    with pytest.raises(CertsError, match="renewed by the CA that signed it"):
        make_certs(certs, now=NOW + timedelta(days=80))


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(CertsError, match=f"{tmp_path}/file/certs: Not a directory"):
        make_certs(tmp_path / "file" / "certs", now=NOW)


def test_the_time_zone_of_now_does_not_matter(certs: Path) -> None:
    make_certs(certs, now=NOW.astimezone(None), renew=True)

    assert certificate(certs, "doppler").not_valid_before_utc <= NOW
