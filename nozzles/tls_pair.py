"""What the settings of TLS have to have in common, of whatever kind a sink is."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class TlsSettings(Protocol):
    """Settings that name PEM files."""

    @property
    def tls_ca(self) -> Path | None:
        """Of those who may sign the sink's certificate."""

    @property
    def tls_cert(self) -> Path | None:
        """Of the certificate that the sink is shown."""

    @property
    def tls_key(self) -> Path | None:
        """Of its private key."""


def check_pair(settings: TlsSettings, *, needs_ca: bool = True) -> None:
    """Raise `ValueError` for a certificate without its key, or a key without its certificate, or both without a CA."""
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise ValueError("tls_cert and tls_key are given together or not at all")
    if needs_ca and settings.tls_cert is not None and settings.tls_ca is None:
        raise ValueError("tls_cert needs tls_ca")
