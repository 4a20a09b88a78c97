from plumbing.auth import Grant


def granted(*scopes: str, sources: tuple[str, ...] = ()) -> Grant:
    return Grant(frozenset(scopes), frozenset(sources), "id", None)


def test_only_one_scope_opens_the_firehose() -> None:
    assert granted("doppler.firehose").may_read_firehose()
    assert not granted("logs.admin").may_read_firehose()
    assert not granted("source.read", sources=("app",)).may_read_firehose()


def test_whoever_may_read_all_may_read_any_source() -> None:
    assert granted("doppler.firehose").may_read_source("app")
    assert granted("logs.admin").may_read_source("app")


def test_a_source_of_ones_own_makes_no_administrator() -> None:
    assert granted("doppler.firehose").may_read_any_source()
    assert granted("logs.admin").may_read_any_source()
    assert not granted("source.read", sources=("app",)).may_read_any_source()


def test_others_may_read_the_sources_they_were_granted() -> None:
    grant = granted("source.read", sources=("app",))

    assert grant.may_read_source("app")
    assert not grant.may_read_source("App")
    assert not grant.may_read_source("other")
