"""Faults are told once."""

from metron.sources.counts import Faults, SourceCounts, printable


def test_a_fault_is_counted_once_while_it_lasts() -> None:
    counts = SourceCounts()
    faults = Faults(counts)

    faults.report("/a", "directory")
    faults.report("/a", "directory")

    assert counts.errors == {"directory": 1}


def test_another_reason_and_another_path_are_other_faults() -> None:
    counts = SourceCounts()
    faults = Faults(counts)

    faults.report("/a", "directory")
    faults.report("/a", "unreadable")
    faults.report("/b", "unreadable")

    assert counts.errors == {"directory": 1, "unreadable": 2}


def test_a_fault_that_comes_back_is_told_again() -> None:
    counts = SourceCounts()
    faults = Faults(counts)

    faults.report("/a", "unreadable")
    faults.clear("/a")
    faults.report("/a", "unreadable")
    faults.retain(set())
    faults.report("/a", "unreadable")

    assert counts.errors == {"unreadable": 3}


def test_paths_of_any_bytes_become_valid_text() -> None:
    assert printable("/logs/\udcff-é.log").encode() == rb"/logs/\xff-" + "é.log".encode()
