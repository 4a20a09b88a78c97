from pathlib import Path

import pytest
import typer

from standpipe.commands.run import run


def test_without_a_system_the_command_runs_all_the_same(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught:
        run("app", ["sh", "-c", "echo one; echo two; printf three >&2; exit 5"], data_dir=tmp_path)

    out, err = capfd.readouterr()
    assert caught.value.exit_code == 5
    assert out == "one\ntwo\n"
    assert err.startswith("threestandpipe run: 3 of 3 lines were not shipped: nothing is running at ")


def test_a_silent_command_lacks_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught:
        run("app", ["true"], data_dir=tmp_path)

    assert caught.value.exit_code == 0
    assert capfd.readouterr() == ("", "")


def test_wrong_usage_is_not_taken_for_an_absent_agent(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.BadParameter, match="is not host:port"):
        run("app", ["echo", "hello"], data_dir=tmp_path, address="nowhere")

    assert capfd.readouterr().out == ""
