"""Settings: who wins, and what the one line says when something is wrong."""

from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, PositiveInt, ValidationError

from plumbing.config import (
    ConfigError,
    ListenAddress,
    Section,
    Settings,
    describe,
    join_listen,
    load,
    parse_listen,
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


@pytest.fixture
def toml(tmp_path: Path) -> Any:
    def write(text: str) -> Path:
        file = tmp_path / "standpipe.toml"
        file.write_text(text, encoding="utf-8")
        return file

    return write


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


def test_a_wrong_value_in_the_file_is_named(toml):
    file = toml("[doppler]\ndiode_capacity = 0")
    assert complaint(file=file) == (
        f"file {file} table [doppler] key diode_capacity: diode_capacity: input should be greater than 0, not 0"
    )


def test_a_wrong_variable_is_named():
    assert complaint(DOPPLER_DIODE_CAPACITY="many").startswith("environment DOPPLER_DIODE_CAPACITY: diode_capacity: ")


def test_a_wrong_flag_is_named():
    assert complaint("--diode-capacity", "-1").startswith("flag --diode-capacity: diode_capacity: ")


def test_the_source_that_won_is_blamed(toml):
    file = toml("[doppler]\ndiode_capacity = 1")
    assert complaint(file=file, DOPPLER_DIODE_CAPACITY="0").startswith("environment DOPPLER_DIODE_CAPACITY")


def test_a_wrong_value_in_a_section_is_named(toml):
    file = toml("[doppler.batching]\nmode = 'lines'")
    message = complaint(file=file)
    assert message.startswith(f"file {file} table [doppler.batching] key mode: batching.mode: ")
    assert "'bytes' or 'count', not 'lines'" in message


def test_a_wrong_value_in_a_list_of_tables_is_named(toml):
    file = toml("[[doppler.follow]]\npath = '/a'\n[[doppler.follow]]\nlines = 3")
    assert complaint(file=file) == f"file {file} table [doppler] key follow: follow[1].path: field required"


def test_an_unknown_key_in_a_list_of_tables_is_named(toml):
    file = toml("[[doppler.follow]]\npath = '/a'\nline = 3")
    assert complaint(file=file) == f"file {file} table [doppler] key follow: follow[0].line is an unknown setting"


def test_a_section_that_is_no_table_is_named(toml):
    file = toml("[doppler]\nbatching = 5")
    assert complaint(file=file).startswith(f"file {file} table [doppler] key batching: batching: ")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[doppler]\ndiode_capacty = 1", "table [doppler] key diode_capacty"),
        ("[doppler.batching]\nsizes = 1", "table [doppler.batching] key sizes"),
    ],
)
def test_an_unknown_key_is_an_error(toml, text, place):
    file = toml(text)
    assert complaint(file=file).startswith(f"file {file} {place}: unknown setting; did you mean ")


@pytest.mark.parametrize(
    "variable", ["DOPPLER_DIODE", "DOPPLER_BATCHING__SIZES", "DOPPLER_DIODE_CAPACITY__X", "DOPPLER_"]
)
def test_an_unknown_variable_with_our_prefix_is_an_error(variable):
    assert complaint(**{variable: "secret"}).startswith(f"environment {variable}: unknown setting")
    assert "secret" not in complaint(**{variable: "secret"})


@pytest.mark.parametrize("flag", ["--nothing-like-it", "--diode", "--diode_capacity", "--no-peers", "-x"])
def test_an_unknown_flag_is_an_error(flag):
    assert complaint(flag, "5").startswith(f"flag {flag}: unknown setting")


@pytest.mark.parametrize(
    ("wrong", "close"), [("DOPPLER_DIODE_CAPACTY", "diode_capacity"), ("DOPPLER_BATCHING__SIZES", "batching.size")]
)
def test_the_nearest_known_setting_is_offered(wrong, close):
    assert complaint(**{wrong: "1"}).endswith(f"; did you mean {close}?")


def test_an_unknown_flag_with_a_value_is_named_without_it():
    assert complaint("--passwd=hush") == "flag --passwd: unknown setting"


def test_a_stray_argument_is_an_error():
    assert complaint("start") == "argument start: unknown setting"


def test_a_flag_without_its_value_is_an_error():
    assert complaint("--diode-capacity") == "flag --diode-capacity: expected one argument"


def test_a_required_setting_that_nobody_gave_is_named():
    with pytest.raises(ConfigError, match=r"^tls_ca is not set: give --tls-ca, DOPPLER_TLS_CA or tls_ca in its TOML"):
        load(Config, [], {})


def test_several_errors_are_counted():
    assert complaint("--diode-capacity", "0", "--listen", "x").endswith("(and 1 more)")


def test_a_long_wrong_value_is_cut_short():
    assert len(complaint("--diode-capacity", "x" * 10_000)) < 250


def test_a_missing_file_is_named(tmp_path):
    assert complaint(file=tmp_path / "no.toml") == f"file {tmp_path}/no.toml: No such file or directory"


def test_a_file_that_is_a_directory_is_named(tmp_path):
    assert complaint(file=tmp_path) == f"file {tmp_path}: Is a directory"


def test_a_file_that_is_no_toml_is_named_with_its_line(toml):
    file = toml("[doppler]\ndiode_capacity 5")
    message = complaint(file=file)
    assert message.startswith(f"file {file}: ")
    assert "line 2" in message


def test_a_file_that_is_no_text_is_named(tmp_path):
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe")
    assert complaint(file=tmp_path / "x.toml").startswith(f"file {tmp_path}/x.toml: ")


def test_an_unknown_table_is_an_error(toml):
    file = toml("[dopler]\ndiode_capacity = 1")
    assert complaint(file=file).startswith(f"file {file}: unknown table [dopler]; known are doppler, ")


def test_a_key_outside_all_tables_is_an_error(toml):
    file = toml("diode_capacity = 1")
    assert "diode_capacity" in complaint(file=file)


def test_a_component_that_is_a_value_is_an_error(toml):
    file = toml("doppler = 1")
    assert complaint(file=file) == f"file {file}: doppler must be a table, [doppler]"


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
