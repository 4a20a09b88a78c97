"""What tests of settings share."""

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def toml(tmp_path: Path) -> Any:
    def write(text: str) -> Path:
        file = tmp_path / "standpipe.toml"
        file.write_text(text, encoding="utf-8")
        return file

    return write
