"""A secret comes from a file of its owner's alone."""

from pathlib import Path

import pytest

from plumbing.config import ConfigError
from plumbing.secret_files import MOST_BYTES, check_private, read_secret


def private(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_a_line_break_at_the_end_does_not_belong_to_it(tmp_path: Path) -> None:
    assert read_secret(private(tmp_path / "s", b" pa55\r\n")) == " pa55"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_nobody_else_may_have_access(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ConfigError, match="others have access"):
        check_private(private(tmp_path / "s", b"pa55", mode))


@pytest.mark.parametrize(
    ("content", "message"), [(b"\n", "empty"), (b"\xff", "UTF-8"), (b"x" * (MOST_BYTES + 1), "more than")]
)
def test_what_is_no_secret_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_secret(private(tmp_path / "s", content))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing: No such file"):
        read_secret(tmp_path / "missing")


def test_a_secret_that_a_library_reads_itself_is_looked_at(tmp_path: Path) -> None:
    path = private(tmp_path / "s", b"pa55")

    assert check_private(path) == path
