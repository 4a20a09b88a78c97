from pathlib import Path

import pytest
import typer

from standpipe.commands.up import up


def test_a_wrong_flag_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match="flag --ports"):
        up(tmp_path, ports="any")


def test_a_wrong_name_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match="no component 'dopler'"):
        up(tmp_path, only="metron, dopler")


def test_a_wrong_file_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "up.toml").write_text("[dopler]\n")
    with pytest.raises(typer.BadParameter, match=r"unknown table \[dopler\]"):
        up(tmp_path, config=tmp_path / "up.toml")
