"""What text in the environment and on the command line means."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from plumbing.setting_sources import ConfigError, FlagParser, from_environment, from_flags, settings_of


class Inner(BaseModel):
    depth: int = 0


class Model(BaseModel):
    text: str = ""
    names: list[str] = []
    ports: list[int] | None = None
    tags: dict[str, str] = {}
    many: list[Inner] = []
    inner: Inner = Inner()
    on: bool = False


KNOWN = dict(settings_of(Model))


def flags(*argv: str) -> dict[str, Any]:
    return {".".join(one.keys): one.value for one in from_flags(argv, KNOWN)[1]}


def variables(**environ: str) -> dict[str, Any]:
    return {".".join(one.keys): one.value for one in from_environment(environ, "room", KNOWN)}


@pytest.mark.parametrize("text", ["a,b", " a , b ", '["a", "b"]', "a,b,"])
def test_a_list_is_text_with_commas_or_json(text):
    assert flags("--names", text) == {"names": ["a", "b"]}
    assert variables(ROOM_NAMES=text) == {"names": ["a", "b"]}


def test_a_repeated_flag_adds_to_a_list():
    assert flags("--names", "a", "--names", "b,c", "--names", '["d,e"]') == {"names": ["a", "b", "c", "d,e"]}


def test_an_ipv6_address_is_no_json():
    assert flags("--names", "[::1]:80,[::2]:80") == {"names": ["[::1]:80", "[::2]:80"]}


def test_empty_text_is_an_empty_list():
    assert variables(ROOM_NAMES="") == {"names": []}


def test_a_list_that_may_be_nothing_is_a_list():
    assert flags("--ports", "1,2") == {"ports": ["1", "2"]}


@pytest.mark.parametrize("text", ["a=1,b=x=y", '{"a": "1", "b": "x=y"}'])
def test_a_mapping_is_text_with_equals_signs_or_json(text):
    assert flags("--tags", text) == {"tags": {"a": "1", "b": "x=y"}}
    assert variables(ROOM_TAGS=text) == {"tags": {"a": "1", "b": "x=y"}}


def test_a_repeated_flag_adds_to_a_mapping_and_the_last_wins():
    assert flags("--tags", "a=1,b=1", "--tags", "b=2") == {"tags": {"a": "1", "b": "2"}}


def test_what_is_no_mapping_is_left_for_validation_to_refuse():
    assert flags("--tags", "a=1,b") == {"tags": "a=1,b"}


def test_tables_in_a_list_are_json():
    assert flags("--many", '{"depth": 1}', "--many", '[{"depth": 2}]') == {"many": [{"depth": 1}, {"depth": 2}]}


def test_a_repeated_flag_for_one_value_is_the_last():
    assert flags("--text", "a", "--text", "b,c") == {"text": "b,c"}


def test_a_switch_has_two_flags():
    assert flags("--on") == {"on": True}
    assert flags("--no-on") == {"on": False}


def test_a_setting_of_a_section_has_the_name_of_the_section_before_it():
    assert flags("--inner.depth", "3") == {"inner.depth": "3"}
    assert variables(ROOM_INNER__DEPTH="3") == {"inner.depth": "3"}


@given(st.text())
def test_a_single_text_is_taken_as_it_is(text: str):
    assert variables(ROOM_TEXT=text) == {"text": text}
    assert flags(f"--text={text}") == {"text": text}


@given(st.lists(st.text()))
def test_any_text_is_read_somehow(texts: list[str]):
    from_flags([f"--names={text}" for text in texts] + [f"--tags={text}" for text in texts], KNOWN)


def test_the_parser_raises_instead_of_ending_the_process():
    parser = FlagParser()
    parser.add_argument("--count", type=int)
    with pytest.raises(ConfigError, match="flag --count: invalid int value: 'x'"):
        parser.parse_known_args(["--count", "x"])
