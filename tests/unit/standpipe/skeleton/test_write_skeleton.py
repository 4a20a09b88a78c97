import subprocess
import sys
from pathlib import Path

import pytest

from standpipe.errors import CommandFailed
from standpipe.skeleton.write_skeleton import write_skeleton

ROOT = Path(__file__).parents[4]


def test_what_is_written_passes_its_own_test(tmp_path: Path) -> None:
    directory = write_skeleton("my-nozzle", tmp_path)

    assert sorted(path.name for path in directory.iterdir()) == [
        *("README.md", "my_nozzle.py", "pyproject.toml", "test_my_nozzle.py"),
    ]
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=directory,
        env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_its_entry_point_names_the_module(tmp_path: Path) -> None:
    text = (write_skeleton("my-nozzle", tmp_path) / "pyproject.toml").read_text()

    assert 'my_nozzle = "my_nozzle:kind"' in text


@pytest.mark.parametrize(
    "name", ["", "My", "a/b", "../x", "1st", "a--b", "x" * 41, "class", "json", "nozzles", "json-lines"]
)
def test_a_name_that_makes_no_module_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(CommandFailed, match="no name for a nozzle"):
        write_skeleton(name, tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()

    with pytest.raises(CommandFailed, match="is there already"):
        write_skeleton("mine", tmp_path)

    assert list((tmp_path / "mine").iterdir()) == []
