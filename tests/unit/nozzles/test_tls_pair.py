"""A certificate and its key are one thing, of every kind of sink that can be shown them."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from nozzles import fluent, kafka, loki, nats_jetstream
from nozzles.otlp.config import GrpcSettings

SINKS: list[tuple[type[Any], dict[str, Any]]] = [
    (fluent.Config, {"address": "h:1"}),
    (kafka.Config, {"brokers": ("h:1",), "topic": "t"}),
    (nats_jetstream.Config, {"servers": ("h:1",)}),
    (loki.Config, {"url": "https://h"}),
    (GrpcSettings, {"address": "h:1"}),
]
CA, CERT, KEY = {"tls_ca": Path("a")}, {"tls_cert": Path("c")}, {"tls_key": Path("k")}


@pytest.mark.parametrize(("config", "given"), SINKS)
def test_one_without_the_other_is_refused(config: type[Any], given: dict[str, Any]) -> None:
    for half in (CERT, KEY):
        with pytest.raises(ValidationError, match="tls_cert and tls_key are given together or not at all"):
            config(**given, **CA, **half)
    config(**given, **CA, **CERT, **KEY)


@pytest.mark.parametrize(("config", "given"), [sink for sink in SINKS if sink[0] is not loki.Config])
def test_where_a_ca_makes_it_tls_there_must_be_one(config: type[Any], given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="tls_cert needs tls_ca"):
        config(**given, **CERT, **KEY)
