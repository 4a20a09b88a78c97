from pathlib import Path

import pytest

from plumbing.setting_sources import ConfigError
from standpipe.supervisor.settings import UpSettings, load_up, told_components


def _file(directory: Path, text: str) -> Path:
    file = directory / "standpipe.toml"
    file.write_text(text)
    return file


def test_defaults_hold_where_nothing_is_said() -> None:
    assert load_up(None, {"dopplers": None, "ports": None, "only": None}) == UpSettings()


def test_the_table_of_a_file_is_read(tmp_path: Path) -> None:
    file = _file(tmp_path, '[standpipe]\ndopplers = 3\nports = "auto"\nonly = ["metron"]\n')
    assert load_up(file, {}) == UpSettings(dopplers=3, ports="auto", only=("metron",))


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    file = _file(tmp_path, "[standpipe]\ndopplers = 3\n")
    assert load_up(file, {"dopplers": 4, "ports": None}).dopplers == 4


def test_a_wrong_value_in_the_file_is_named(tmp_path: Path) -> None:
    file = _file(tmp_path, "[standpipe]\ndopplers = 0\n")
    with pytest.raises(ConfigError, match=rf"file {file} table \[standpipe\] key dopplers: .*not 0"):
        load_up(file, {})


def test_an_unknown_key_in_the_file_is_named(tmp_path: Path) -> None:
    file = _file(tmp_path, "[standpipe]\ndoplers = 2\n")
    with pytest.raises(ConfigError, match="key doplers"):
        load_up(file, {})


def test_a_wrong_flag_is_named() -> None:
    with pytest.raises(ConfigError, match=r"flag --ports: .*not 'any'"):
        load_up(None, {"ports": "any"})


def test_what_somebody_set_of_a_component_is_known(tmp_path: Path) -> None:
    file = _file(tmp_path, '[doppler]\nlisten = "0.0.0.0:9000"\n[metron.stdin]\nenabled = true\n')
    told = told_components(file, {"METRON_CHECKPOINT_DIR": "/here", "STANDPIPE_DATA_DIR": "/there"})
    assert told["doppler"] == {"listen": "0.0.0.0:9000"}
    assert told["metron"] == {"stdin": {"enabled": True}, "checkpoint_dir": "/here"}
    assert told["traffic_controller"] == {}
