from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_store.storage import StoreDamaged
from event_store.storage.manifest import NAME, Manifest, Segment, form, load, parse, save

int64s = st.integers(-(2**63), 2**63 - 1)
segments = st.builds(
    Segment,
    file=st.text(max_size=10),
    level=st.integers(0, 1),
    rows=st.integers(0, 2**40),
    bytes=st.integers(0, 2**40),
    min_time=int64s,
    max_time=int64s,
    min_seq=int64s,
    max_seq=int64s,
    checksum=st.text(max_size=16),
    columns=st.frozensets(st.text(max_size=5), max_size=5),
    sources=st.none() | st.frozensets(st.text(max_size=5), max_size=5),
)
with_indexes = segments.flatmap(
    lambda one: st.integers(1, 2**40).map(lambda size: replace(one, index_bytes=size, index_checksum="0f"))
)
manifests = st.builds(
    Manifest,
    id=st.integers(0, 2**64 - 1),
    version=st.integers(0, 2**40),
    flushed=st.integers(0, 2**60),
    segments=st.lists(segments | with_indexes, max_size=4).map(tuple),
)
SEGMENT = Segment("a", 0, 3, 100, 5, 9, 0, 2, "00", frozenset({"time"}), frozenset({"web"}))


@given(manifests)
def test_a_manifest_is_read_as_it_was_written(manifest: Manifest) -> None:
    assert parse(form(manifest)) == manifest


@given(st.binary(max_size=200))
def test_bytes_of_anybody_else_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="checksum"):
        parse(content)


def test_no_flipped_bit_goes_unnoticed() -> None:
    content = form(Manifest(5, 1, 3, (SEGMENT,)))

    for bit in range(len(content) * 8):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError, match="checksum"):
            parse(bytes(flipped))


def test_a_manifest_of_a_later_form_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("event_store.storage.manifest._FORM", 2)
    content = form(Manifest(5))
    monkeypatch.undo()

    with pytest.raises(ValueError, match="form 2"):
        parse(content)


def test_a_manifest_that_knows_of_no_indexes_is_read() -> None:
    content = form(Manifest(5, 1, 3, (SEGMENT,)))
    assert b"index" not in content
    assert parse(content).segments == (SEGMENT,)
    assert (SEGMENT.index_bytes, SEGMENT.index_file, SEGMENT.bytes_on_disk) == (0, "a.index", 100)


def test_the_next_version_has_the_newest_last() -> None:
    older, newer = replace(SEGMENT, file="old", max_time=7), replace(SEGMENT, file="new", max_time=11)
    manifest = Manifest(5).changed(add=[newer, SEGMENT], flushed=3).changed(add=[older], remove={"a"})

    assert (manifest.version, manifest.flushed) == (2, 3)
    assert [segment.file for segment in manifest.segments] == ["old", "new"]


def test_each_name_is_written_once() -> None:
    many = tuple(replace(SEGMENT, file=str(n), sources=frozenset({"a-long-source"})) for n in range(10))

    assert form(Manifest(5, segments=many)).count(b"a-long-source") == 1


def test_stores_differ_in_their_seeds() -> None:
    assert Manifest.new().id != Manifest.new().id


def test_a_manifest_in_a_folder(tmp_path: Path) -> None:
    assert load(tmp_path) is None
    save(tmp_path, manifest := Manifest(5, 1, 3, (SEGMENT,)))
    assert load(tmp_path) == manifest

    (tmp_path / NAME).write_bytes(form(manifest)[:-2])
    with pytest.raises(StoreDamaged, match=f"{NAME} is not what the store wrote"):
        load(tmp_path)
