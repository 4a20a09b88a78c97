"""Settings in words."""

import socket
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat

from plumbing.config import ListenAddress
from plumbing.setting_rows import SettingRow, help_screen, rows_of


class Part(BaseModel):
    path: Path
    share: PositiveFloat | None = None


class Other(BaseModel):
    on: bool = True


class Model(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)

    listen: ListenAddress = "127.0.0.1:0"
    """Where it
    listens."""

    peers: list[ListenAddress] = []
    mode: Literal["a", "b"] = "a"
    size: NonNegativeInt = 5
    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    on: bool = True
    tags: dict[str, int] = {}
    parts: list[Part] = []
    either: list[Part | Other] = []
    said: Literal["", "a"] = ""
    part: Part | None = None
    host: str = Field(default_factory=socket.gethostname)


ROWS = {row.name: row for row in rows_of(Model, "room")}


def test_a_row_says_everything_about_a_setting():
    assert ROWS["listen"] == SettingRow(
        name="listen",
        type="host:port",
        default='"127.0.0.1:0"',
        meaning="Where it listens.",
        env="ROOM_LISTEN",
        flag="--listen",
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("peers", "list of host:port"),
        ("mode", "a | b"),
        ("size", "integer >= 0"),
        ("share", "number > 0 <= 1"),
        ("on", "true | false"),
        ("tags", "table of integer"),
        ("parts", "list of table"),
        ("either", "list of table"),
        ("said", '"" | a'),
        ("part.path", "path"),
        ("part.share", "number > 0 or nothing"),
    ],
)
def test_types_are_named_for_readers_who_know_no_python(name, kind):
    assert ROWS[name].type == kind


@pytest.mark.parametrize(
    ("name", "default"), [("peers", "[]"), ("on", "true"), ("size", "5"), ("part.path", "required"), ("tags", "{}")]
)
def test_defaults_are_written_as_in_the_file(name, default):
    assert ROWS[name].default == default


def test_a_default_that_differs_between_machines_is_not_written():
    assert ROWS["host"].default == "computed"


def test_inside_a_list_of_tables_there_are_no_variables_and_no_flags():
    assert (ROWS["parts[].path"].env, ROWS["parts[].path"].flag) == ("", "")
    assert (ROWS["part.path"].env, ROWS["part.path"].flag) == ("ROOM_PART__PATH", "--part.path")


def test_the_help_screen_fits_a_terminal():
    screen = help_screen(list(ROWS.values()), "room")
    assert all(len(line) <= 120 for line in screen.splitlines())
    assert "--config FILE" in screen
