"""Settings of nozzles whose sink does not matter, and what their sources bring."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nozzles.config import Config, make_config
from nozzles.sdk import NozzleKind
from plumbing.config import Section
from plumbing.gathering.batcher import Piece
from plumbing.gathering.crossing import Crossing
from plumbing.tls import TlsFiles


def settings(certs: Path, **given: Any) -> Config:
    """Make those of a nozzle called relay."""
    files = TlsFiles.named(certs, "nozzle")
    kind = NozzleKind(Section, lambda _: None)  # type: ignore[arg-type, return-value]  # never opened
    return make_config(kind, "relay")(tls_ca=files.ca, tls_cert=files.cert, tls_key=files.key, **given)


async def next_piece(crossing: Crossing[Piece]) -> Piece:
    """Wait for what comes next."""
    while (piece := crossing.take()) is None:
        await crossing.wait()
    return piece
