"""Settings of the sources."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from metron.sources import FileSource, HostMetrics


def test_paths_become_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")

    source = FileSource(paths=["logs/*.log", "~/x.log"], source_id="app")

    assert source.paths == [f"{tmp_path}/logs/*.log", "/home/me/x.log"]


@pytest.mark.parametrize(
    "bad", [{"paths": []}, {"paths": [""]}, {"source_id": ""}, {"start": "middle"}, {"colour": "red"}]
)
def test_mistakes_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(bad))):
        FileSource.model_validate({"paths": ["/x"], "source_id": "app", **bad})


def test_the_host_goes_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert HostMetrics().instance_id
    assert HostMetrics(instance_id="7").instance_id == "7"
