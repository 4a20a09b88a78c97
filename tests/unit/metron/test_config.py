"""What is wrong in an agent's settings is said before it starts."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from metron import Config


def config(**settings: Any) -> Config:
    return Config(tls_ca=Path("ca"), tls_cert=Path("cert"), tls_key=Path("key"), **settings)


@pytest.mark.parametrize("setting", ["doppler_addresses", "preferred_doppler_addresses"])
@pytest.mark.parametrize("address", ["doppler", "doppler:http", ":8082", "10.0.0.1:99999", ""])
def test_an_address_that_nobody_can_dial_is_refused(setting: str, address: str) -> None:
    with pytest.raises(ValidationError, match="doppler_addresses"):
        config(**{setting: ["10.0.0.1:8082", address]})


def test_names_and_both_kinds_of_ip_can_be_dialled() -> None:
    addresses = ["z1@doppler.service.internal:8082", "10.0.0.1:8082", "[::1]:8082"]

    assert config(doppler_addresses=addresses).doppler_addresses == addresses
