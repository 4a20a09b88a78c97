import json
import platform

import pytest

from envelope import kernel
from standpipe.commands.version import LIBRARIES, version, version_of


def test_versions_are_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    version()
    shown = capsys.readouterr().out

    assert f"python        {platform.python_version()}\n" in shown
    assert kernel.ACTIVE in shown


def test_versions_are_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    version(as_json=True)
    found = json.loads(capsys.readouterr().out)

    assert found["kernel"] == kernel.ACTIVE
    assert found.keys() == {"standpipe", "kernel", "python", *LIBRARIES}


def test_what_is_not_installed_has_no_version() -> None:
    assert version_of("no-such-distribution") == "not installed"
