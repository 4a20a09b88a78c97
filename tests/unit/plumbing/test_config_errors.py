"""Settings: what the one line says when something is wrong."""

import pytest

from plumbing.config import (
    ConfigError,
    load,
)
from tests.unit.plumbing.doppler_settings import Config, complaint


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
