"""Settings: who wins, and what is made of what was given."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from plumbing.config import (
    Settings,
    describe,
    join_listen,
    load,
    parse_listen,
)
from tests.unit.plumbing.doppler_settings import TLS, Batching, Config, Follow, complaint, config


def test_defaults_hold_when_nothing_is_said():
    assert config().diode_capacity == 10_000
    assert config().batching == Batching()


def test_the_file_beats_the_default(toml):
    assert config(file=toml("[doppler]\ndiode_capacity = 1")).diode_capacity == 1


def test_the_environment_beats_the_file(toml):
    file = toml("[doppler]\ndiode_capacity = 1")
    assert config(file=file, DOPPLER_DIODE_CAPACITY="2").diode_capacity == 2


def test_a_flag_beats_the_environment(toml):
    file = toml("[doppler]\ndiode_capacity = 1")
    assert config("--diode-capacity", "3", file=file, DOPPLER_DIODE_CAPACITY="2").diode_capacity == 3


def test_a_section_is_put_together_from_all_sources(toml):
    file = toml("[doppler.batching]\nsize = 1\nmode = 'count'")
    batching = config(file=file, DOPPLER_BATCHING__SIZE="2").batching
    assert batching == Batching(size=2, mode="count")


def test_an_optional_section_appears_when_a_part_of_it_is_set():
    assert config().spool is None
    assert config("--spool.size", "7").spool == Batching(size=7)


def test_a_list_of_tables_comes_from_the_file(toml):
    file = toml("[[doppler.follow]]\npath = '/a'\n[[doppler.follow]]\npath = '/b'\nlines = 3")
    assert config(file=file).follow == [Follow(path=Path("/a")), Follow(path=Path("/b"), lines=3)]


def test_the_three_tls_files_come_together():
    assert config().tls.cert == Path("doppler.crt")


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        config().diode_capacity = 5


def test_constructing_reads_nothing_from_outside(monkeypatch):
    monkeypatch.setenv("DOPPLER_DIODE_CAPACITY", "7")
    monkeypatch.setenv("DIODE_CAPACITY", "7")
    assert Config(tls_ca=Path("a"), tls_cert=Path("b"), tls_key=Path("c")).diode_capacity == 10_000


def test_the_table_is_inherited():
    class Special(Config):
        pass

    assert Special.table == "doppler"


@pytest.mark.parametrize("other", ["METRON_WHATEVER", "DOPPLERS_X", "doppler_x", "XDOPPLER_X", "DOPPLER"])
def test_variables_with_another_prefix_are_not_ours(other):
    assert config(**{other: "1"}) == config()


def test_tables_of_other_components_are_not_ours(toml):
    assert config(file=toml("[metron]\nwhatever = 1")) == config()


def test_variables_about_the_process_are_no_settings():
    class Up(Settings, table="standpipe"):
        pass

    assert load(Up, TLS, {"STANDPIPE_KERNEL": "reference", "STANDPIPE_LOG": "json"}).table == "standpipe"


def test_numbers_are_finite():
    assert "finite" in complaint("--drain-grace-s", "inf")


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("localhost:65535", ("localhost", 65535)),
        ("[::1]:8082", ("::1", 8082)),
    ],
)
def test_an_address_is_split_and_joined(address, parts):
    assert parse_listen(address) == parts
    assert join_listen(*parts) == address


@pytest.mark.parametrize(
    "address",
    [
        *(
            "",
            "8082",
            ":8082",
            "host",
            "host:",
            "host:x",
            "host:-1",
            "host:65536",
            "host:٣",
            "host:99999999999999999999",
        ),
        *("::1:80", "[::1]", "[host]:1", "[]:1", "[::1:1", "::1]:1", "a b:1", "http://a:1"),
    ],
)
def test_what_is_no_address_is_refused(address):
    with pytest.raises(ValueError):
        parse_listen(address)


def test_a_wrong_address_is_named():
    assert complaint("--listen", "::1:80").startswith("flag --listen: listen: host '::1' of '::1:80' is no name")


@given(host=st.ip_addresses().map(str), port=st.integers(0, 65535))
def test_every_address_survives(host: str, port: int):
    assert parse_listen(join_listen(host, port)) == (host, port)


def test_every_setting_is_described():
    names = [row.name for row in describe(Config)]
    assert names[:3] == ["name", "admin_listen", "tls_ca"]
    assert {"diode_capacity", "batching.size", "follow", "follow[].path", "spool.mode"} <= set(names)


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_names_every_flag_and_ends_well(flag, capsys):
    with pytest.raises(SystemExit) as ended:
        load(Config, ["--diode-capacity", "wrong", flag], {})
    assert ended.value.code == 0
    screen = capsys.readouterr().out
    assert all(row.flag in screen and row.meaning.split(" ")[0] in screen for row in describe(Config))
    assert "Envelopes held for one slow subscriber." in screen
