from plumbing.auth import AuthorityCounts


def test_every_authority_has_its_numbers_from_the_start() -> None:
    counts = AuthorityCounts("uaa", "capi")

    assert dict(counts.readings()) == {
        (name, outcome): 0 for name in ("uaa", "capi") for outcome in ("asked", "cached", "failed")
    }


def test_readings_are_those_of_the_moment() -> None:
    counts = AuthorityCounts("uaa", "capi")

    counts["uaa"].asked += 2
    counts["uaa"].failed += 1

    assert counts.readings()["uaa", "asked"] == 2
    assert counts.readings()["uaa", "failed"] == 1
    assert counts.readings()["capi", "asked"] == 0
