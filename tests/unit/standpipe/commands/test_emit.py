from pathlib import Path

import pytest
import typer

from standpipe.commands.emit import emit
from standpipe.errors import NotRunning


def test_nothing_to_send_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match="nothing to send"):
        emit("app", data_dir=tmp_path)


def test_wrong_metrics_are_wrong_usage_even_if_nothing_is_running(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match="'a' is not NAME=DELTA"):
        emit("app", counter=["a"], data_dir=tmp_path)


def test_an_empty_text_is_a_log_too(tmp_path: Path) -> None:
    with pytest.raises(NotRunning):
        emit("app", [""], data_dir=tmp_path)


def test_where_nothing_is_running_nothing_is_sent(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match="nothing is running"):
        emit("app", ["hello"], data_dir=tmp_path)
