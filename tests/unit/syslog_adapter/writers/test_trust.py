import os
import ssl
from pathlib import Path

import pytest

from syslog_adapter.binding import Binding
from syslog_adapter.drain_url import BadDrain, parse_drain_url
from syslog_adapter.writers.config import WriterSettings
from syslog_adapter.writers.trust import drain_context

DRAIN = parse_drain_url("syslog-tls://drain")


def pem(certs_dir: Path, name: str) -> str:
    return (certs_dir / name).read_text()


def test_the_system_s_authorities_are_trusted_and_those_of_settings_and_binding(certs_dir: Path) -> None:
    bare = drain_context(DRAIN, Binding(url=""), WriterSettings())
    both = drain_context(
        DRAIN, Binding(url="", ca=pem(certs_dir, "ca.crt")), WriterSettings(trusted_ca_file=certs_dir / "ca.crt")
    )

    assert both.cert_store_stats()["x509_ca"] == bare.cert_store_stats()["x509_ca"] + 1
    assert bare.verify_mode == ssl.CERT_REQUIRED
    assert bare.check_hostname
    assert bare.minimum_version == ssl.TLSVersion.TLSv1_2


def test_an_authority_may_be_named_in_any_language(certs_dir: Path) -> None:
    commented = "# Größe\n" + (certs_dir / "ca.crt").read_text()

    context = drain_context(parse_drain_url("syslog-tls://a"), Binding(url="", ca=commented), WriterSettings())

    assert len(context.get_ca_certs()) >= 1


def test_strict_internal_leaves_the_suites_of_the_components() -> None:
    def suites(url: str) -> set[str]:
        context = drain_context(parse_drain_url(url), Binding(url=""), WriterSettings())
        return {one["name"] for one in context.get_ciphers() if not one["name"].startswith("TLS_")}

    assert any("CHACHA20" in name for name in suites("https://drain"))
    assert not any("CHACHA20" in name for name in suites("https://drain?ssl-strict-internal=true"))


def test_a_certificate_is_shown_and_leaves_no_file_behind(certs_dir: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))

    drain_context(
        DRAIN, Binding(url="", cert=pem(certs_dir, "client.crt"), key=pem(certs_dir, "client.key")), WriterSettings()
    )

    assert len(os.listdir("/proc/self/fd")) == before


def test_what_cannot_be_used_is_named_without_being_shown(certs_dir: Path) -> None:
    cert, key = pem(certs_dir, "client.crt"), pem(certs_dir, "doppler.key")
    for binding, message in (
        (Binding(url="", ca="secret"), "the CA of the binding is no PEM certificate"),
        (Binding(url="", cert=cert, key=key), "do not belong together"),
        (Binding(url="", cert=cert), "do not belong together"),
        (Binding(url="", key="secret"), "do not belong together"),
    ):
        with pytest.raises(BadDrain, match=message) as caught:
            drain_context(DRAIN, binding, WriterSettings())
        assert "secret" not in str(caught.value)


def test_certificates_need_not_be_verified() -> None:
    context = drain_context(DRAIN, Binding(url=""), WriterSettings(skip_cert_verify=True))

    assert context.verify_mode == ssl.CERT_NONE
