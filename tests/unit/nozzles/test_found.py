"""Finding kinds: by name, without importing the others; what is missing is said in one line."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import asynccontextmanager
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest

from nozzles import found
from nozzles.config import make_config
from nozzles.found import choose, kinds, load_kind
from nozzles.sdk import NozzleKind
from plumbing.config import ConfigError, Section, load

HERE = "tests.unit.nozzles.test_found"
TLS = ["--tls-ca", "ca.crt", "--tls-cert", "nozzle.crt", "--tls-key", "nozzle.key"]


class SinkConfig(Section):
    path: Path
    lines: int = 5


kind = NozzleKind(SinkConfig, asynccontextmanager(lambda _: iter(())))  # type: ignore[arg-type]
no_kind = 5


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def install(**values: str) -> None:
        points = EntryPoints(EntryPoint(name, value, found.GROUP) for name, value in values.items())
        monkeypatch.setattr(found, "entry_points", lambda group, **how: points.select(group=group, **how))

    install(fine=f"{HERE}:kind", broken="no_such_module.at_all:kind [nats,extra]", bare="no_such_module:kind")
    return install


def complaint(name: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_kind(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_kinds_are_named_without_being_imported(installed: Any) -> None:
    assert kinds() == ["bare", "broken", "fine"]


def test_a_kind_is_loaded(installed: Any) -> None:
    assert load_kind("fine").Config.__name__ == "SinkConfig"


def test_a_missing_library_is_named_and_what_to_install(installed: Any) -> None:
    assert complaint("broken") == (
        "kind broken: the library no_such_module is missing; install its package[nats,extra]"
    )
    assert complaint("bare").startswith("kind bare: the library no_such_module is missing")


def test_a_kind_that_nobody_brings_is_named(installed: Any) -> None:
    assert complaint("fin") == "kind fin: no nozzle is called that; did you mean fine?"
    assert complaint("zzz") == "kind zzz: no nozzle is called that; there are bare, broken, fine"


def test_what_is_no_kind_is_named(installed: Any) -> None:
    installed(odd=f"{HERE}:no_kind", gone=f"{HERE}:missing")

    assert complaint("odd") == "kind odd: its entry point leads to no NozzleKind, but to int"
    assert complaint("gone").startswith(f"kind gone: {HERE}:missing: AttributeError: ")


def test_two_packages_with_a_kind_of_one_name_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    points = EntryPoints([EntryPoint("x", "a:b", found.GROUP), EntryPoint("x", "c:d", found.GROUP)])
    monkeypatch.setattr(found, "entry_points", lambda group, **how: points.select(group=group, **how))

    assert complaint("x").startswith("kind x: several packages bring one: ")


def chosen(*argv: str, **environ: str) -> str:
    choice = choose(argv, environ)
    assert choice is not None
    assert choice.kind.Config.__name__ == "SinkConfig"
    return choice.name


def refusal(*argv: str, **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        choose(argv, environ)
    return str(caught.value)


def test_a_nozzle_may_be_called_as_its_kind(installed: Any) -> None:
    assert chosen("--name", "fine") == "fine"


def test_the_kind_of_a_nozzle_is_found_wherever_it_is_set(installed: Any, tmp_path: Path) -> None:
    file = tmp_path / "standpipe.toml"
    file.write_text("[nozzles.my-sink]\nkind = 'fine'\n[nozzles.my-sink.sink]\npath = '/x'\n[nozzles.other]\n")

    assert chosen("--name", "my-sink", "--config", str(file), "--sink.lines", "3") == "my-sink"
    assert chosen("--name", "my-sink", NOZZLES_MY_SINK_KIND="fine") == "my-sink"
    assert chosen("--name", "my-sink", "--kind", "fine", NOZZLES_MY_SINK_KIND="broken") == "my-sink"
    assert refusal("--name", "my-sink", "--kind", "fin", "--config", str(file)).startswith("flag --kind: kind fin: no ")


def test_a_name_that_leads_nowhere_is_named(installed: Any) -> None:
    assert refusal("--name", "x") == (
        "x: neither a kind nor a table [nozzles.x] with one; the kinds are bare, broken, fine"
    )


@pytest.mark.parametrize("name", ["../x", "X", "a.b", "-a", "a" * 80])
def test_what_is_no_name_is_refused(installed: Any, name: str) -> None:
    assert refusal(f"--name={name}").startswith("flag --name: ")


def test_without_a_name_there_is_help_but_no_nozzle(installed: Any) -> None:
    assert choose(["--help"], {}) is None
    assert refusal().startswith("which one? give --name NAME")


def test_the_settings_of_a_nozzle_hold_those_of_its_sink(tmp_path: Path) -> None:
    file = tmp_path / "standpipe.toml"
    file.write_text("[nozzles.my-sink.sink]\npath = '/x'\n[nozzles.my-sink.filter]\ntypes = ['log']\n")
    config = load(make_config(kind, "my-sink"), [*TLS, "--config", str(file)], {"NOZZLES_MY_SINK_SINK__LINES": "7"})

    assert (config.name, config.subscription) == ("my-sink", "nozzle-my-sink")
    assert config.sink == SinkConfig(path=Path("/x"), lines=7)
    assert config.filter.types == ["log"]


def test_a_setting_of_the_sink_that_nobody_gave_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^sink\.path is not set: give --sink\.path, NOZZLES_MY_SINK_SINK__PATH or"):
        load(make_config(kind, "my-sink"), TLS, {})
