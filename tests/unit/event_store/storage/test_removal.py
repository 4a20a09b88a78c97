from pathlib import Path

import pytest

from event_store.storage.manifest import Manifest, Segment
from event_store.storage.removal import Removal
from tests.unit.event_store.storage.test_retention import segment


@pytest.fixture
def here(tmp_path: Path) -> Segment:
    (tmp_path / "day" / "hour").mkdir(parents=True)
    (tmp_path / "day" / "hour" / "1").touch()
    return Segment(**{**{name: getattr(segment(1, set()), name) for name in Segment.__slots__}, "file": "day/hour/1"})


def test_a_file_goes_after_a_while_and_its_directories_with_it(tmp_path: Path, here: Segment) -> None:
    now = [0.0]
    removal = Removal(tmp_path, 10.0, lambda: now[0])
    removal.retire([here], 1)
    now[0] = 9.0
    removal.sweep(removal.oldest())
    assert (tmp_path / here.file).exists()

    now[0] = 10.0
    removal.sweep(removal.oldest())
    assert list(tmp_path.iterdir()) == []


def test_a_file_stays_as_long_as_anybody_holds_a_manifest_that_has_it(tmp_path: Path, here: Segment) -> None:
    removal = Removal(tmp_path, 0.0, lambda: 0.0)
    held, later = removal.lend(Manifest(0, 4)), removal.lend(Manifest(0, 5))
    removal.retire([here], 5)
    removal.sweep(removal.oldest())
    assert (tmp_path / here.file).exists()

    del held
    removal.sweep(removal.oldest())
    assert not (tmp_path / here.file).exists()
    assert later.version == 5


def test_a_directory_stays_that_has_others_and_a_file_may_be_gone_already(tmp_path: Path, here: Segment) -> None:
    removal = Removal(tmp_path, 0.0, lambda: 0.0)
    (tmp_path / "day" / "hour" / "2").touch()
    (tmp_path / here.file).unlink()
    removal.retire([here], 1)
    removal.sweep(removal.oldest())

    assert (tmp_path / "day" / "hour" / "2").exists()
