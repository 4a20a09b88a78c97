"""Settings: tables in a table, as `[nozzles.NAME]` is."""

from pathlib import Path

import pytest

from plumbing.config import (
    ConfigError,
    Settings,
    load,
)
from tests.unit.plumbing.doppler_settings import TLS, Batching


class Relay(Settings, table="nozzles.my-relay"):
    shard_id: str = ""
    sink: Batching = Batching()


def relay(*flags: str, file: Path | None = None, **environ: str) -> Relay:
    return load(Relay, [*TLS, *flags, *(["--config", str(file)] if file else [])], environ)


def relay_complaint(*flags: str, file: Path | None = None, **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        relay(*flags, file=file, **environ)
    return str(caught.value)


def test_a_table_in_a_table_is_read_from_all_sources(toml):
    file = toml("[nozzles.my-relay]\nshard_id = 'a'\n[nozzles.my-relay.sink]\nsize = 1\nmode = 'count'")
    assert relay(file=file) == Relay(**relay().model_dump() | {"shard_id": "a", "sink": {"size": 1, "mode": "count"}})
    assert relay(file=file, NOZZLES_MY_RELAY_SHARD_ID="b").shard_id == "b"
    assert relay("--sink.size", "3", file=file, NOZZLES_MY_RELAY_SINK__SIZE="2").sink.size == 3


def test_a_file_without_the_inner_table_changes_nothing(toml):
    assert relay(file=toml("")) == relay(file=toml("[nozzles.other]\nwhatever = 1")) == relay()


def test_an_unknown_key_of_a_table_in_a_table_is_named(toml):
    file = toml("[nozzles.my-relay]\nshardid = 'a'")
    assert relay_complaint(file=file) == (
        f"file {file} table [nozzles.my-relay] key shardid: unknown setting; did you mean shard_id?"
    )
    file = toml("[nozzles.my-relay.sink]\nsizes = 1")
    assert relay_complaint(file=file).startswith(f"file {file} table [nozzles.my-relay.sink] key sizes: unknown ")


def test_an_unknown_variable_of_a_table_in_a_table_is_named():
    assert relay_complaint(NOZZLES_MY_RELAY_SHARDID="a") == (
        "environment NOZZLES_MY_RELAY_SHARDID: unknown setting; did you mean shard_id?"
    )


def test_a_variable_of_a_sibling_with_a_longer_name_is_not_ours(toml):
    file = toml("[nozzles.my-relay]\n[nozzles.my-relay-two]\nanything = 1")
    assert relay(file=file, NOZZLES_MY_RELAY_TWO_ANYTHING="1") == relay()
    assert "ANYTHING" in relay_complaint(NOZZLES_MY_RELAY_TWO_ANYTHING="1")


def test_a_variable_of_a_sibling_with_a_shorter_name_is_not_ours(toml):
    assert relay(file=toml("[nozzles.my]\n[nozzles.my-relay]"), NOZZLES_MY_RELAY_SHARD_ID="a").shard_id == "a"


@pytest.mark.parametrize(
    ("text", "what"), [("nozzles = 1", "nozzles"), ("[nozzles]\nshard_id = 'a'", "nozzles.shard_id")]
)
def test_what_should_be_a_table_in_a_table_is_named(toml, text, what):
    file = toml(text)
    assert relay_complaint(file=file) == f"file {file}: {what} must be a table, [{what}]"


def test_a_required_setting_of_a_table_in_a_table_is_named():
    with pytest.raises(ConfigError, match=r"^tls_ca is not set: give --tls-ca, NOZZLES_MY_RELAY_TLS_CA or tls_ca in"):
        load(Relay, [], {})
