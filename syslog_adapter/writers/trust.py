"""Whom a drain's TLS trusts, and what it shows of itself."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from plumbing.tls import TLS12_CIPHERS
from syslog_adapter.binding import Binding
from syslog_adapter.drain_url import BadDrain, DrainUrl
from syslog_adapter.writers.config import WriterSettings

EXTERNAL_CIPHERS = f"{TLS12_CIPHERS}:ECDHE+CHACHA20"
"""The suites of TLS 1.2 that drains may choose from; `ssl-strict-internal` leaves those of the components."""


def drain_context(drain: DrainUrl, binding: Binding, settings: WriterSettings) -> ssl.SSLContext:
    """Return the TLS context for a drain. `BadDrain` says what in its binding cannot be used."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    context.set_ciphers(TLS12_CIPHERS if drain.ssl_strict_internal else EXTERNAL_CIPHERS)
    if settings.trusted_ca_file is not None:
        context.load_verify_locations(cafile=settings.trusted_ca_file)
    if binding.ca:
        _trust(context, binding.ca)
    if binding.cert or binding.key:
        _show(context, binding)
    if settings.skip_cert_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _trust(context: ssl.SSLContext, ca: str) -> None:
    """Trust the certificates of a PEM text; what is beyond ASCII is a comment, which `ssl` would not even pass over."""
    try:
        context.load_verify_locations(cadata=ca.encode("ascii", errors="replace").decode("ascii"))
    except (ssl.SSLError, ValueError) as error:
        raise BadDrain("the CA of the binding is no PEM certificate") from error


def _show(context: ssl.SSLContext, binding: Binding) -> None:
    """Load the binding's certificate. `ssl` reads files only: the key is in memory that no path leads to."""
    handle = os.memfd_create("drain-certificate", os.MFD_CLOEXEC)
    try:
        with os.fdopen(handle, "wb", closefd=False) as file:
            file.write(f"{binding.key}\n{binding.cert}\n".encode())
        context.load_cert_chain(Path(f"/proc/self/fd/{handle}"), password="")
    except (ssl.SSLError, ValueError) as error:
        raise BadDrain("the certificate and the key of the binding do not belong together") from error
    finally:
        os.close(handle)
