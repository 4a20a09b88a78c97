"""Settings of event stores that nobody runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from event_store.config import Config
from plumbing.tls import TlsFiles


def settings(certs: Path, **given: Any) -> Config:
    """Make them."""
    files = TlsFiles.named(certs, "event-store")
    return Config(tls_ca=files.ca, tls_cert=files.cert, tls_key=files.key, data_dir=certs / "nowhere", **given)
