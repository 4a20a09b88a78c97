"""Settings of a made-up component, with everything that settings can be."""

from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field, PositiveInt

from plumbing.config import (
    ConfigError,
    ListenAddress,
    Section,
    Settings,
    load,
)

TLS = ["--tls-ca", "ca.crt", "--tls-cert", "doppler.crt", "--tls-key", "doppler.key"]


class Follow(Section):
    path: Path
    lines: PositiveInt = 10


class Batching(Section):
    size: PositiveInt = 100
    mode: Literal["bytes", "count"] = "bytes"


class Config(Settings, table="doppler"):
    diode_capacity: PositiveInt = 10_000
    """Envelopes held for one slow subscriber."""

    peers: list[ListenAddress] = Field(default=[])
    tags: dict[str, str] = Field(default={})
    follow: list[Follow] = Field(default=[])
    batching: Batching = Batching()
    spool: Batching | None = None
    fast: bool = True
    listen: ListenAddress = Field(default="127.0.0.1:0")


def config(*flags: str, file: Path | None = None, **environ: str) -> Config:
    return load(Config, [*TLS, *flags, *(["--config", str(file)] if file else [])], environ)


def complaint(*flags: str, file: Path | None = None, **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        config(*flags, file=file, **environ)
    message = str(caught.value)
    assert "\n" not in message
    return message
