import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope.errors import DecodeError
from envelope.pb.loggregator_v2_pb2 import Counter, Envelope, Log, Value
from envelope.tags import TagRewriter
from tests.strategies import canonical, counter_envelopes, envelopes

DEFAULTS = {"deployment": "cf", "ip": "10.0.0.1"}


def rewritten(rewriter: TagRewriter, envelope: Envelope) -> Envelope:
    return Envelope.FromString(rewriter.rewrite(envelope.SerializeToString()))


def hits(delta: int = 0, total: int = 0, **tags: str) -> Envelope:
    return Envelope(source_id="s", tags=tags, counter=Counter(name="hits", delta=delta, total=total))


def total_after(rewriter: TagRewriter, envelope: Envelope) -> int:
    return rewritten(rewriter, envelope).counter.total


# --- (a) source_id ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("envelope", "source_id", "mappings"),
    [
        (Envelope(source_id="s", tags={"origin": "o"}), "s", 0),
        (Envelope(tags={"origin": "o"}), "o", 1),
        (Envelope(tags={"origin": ""}), "", 1),
        (Envelope(tags={"origin": "o"}, deprecated_tags={"origin": Value(text="d")}), "o", 1),
        (Envelope(deprecated_tags={"origin": Value(text="d")}), "d", 1),
        (Envelope(deprecated_tags={"origin": Value(integer=7)}), "7", 1),
        (Envelope(deprecated_tags={"origin": Value()}), "", 1),
        (Envelope(tags={"job": "j"}), "", 0),
    ],
)
def test_an_empty_source_id_becomes_the_origin(envelope: Envelope, source_id: str, mappings: int) -> None:
    rewriter = TagRewriter(DEFAULTS)

    assert rewritten(rewriter, envelope).source_id == source_id
    assert rewriter.origin_mappings == mappings


def test_a_default_origin_names_no_source() -> None:
    rewriter = TagRewriter({"origin": "agent"})

    assert rewritten(rewriter, Envelope(log=Log())).source_id == ""
    assert rewriter.origin_mappings == 0


# --- (b) deprecated tags, (c) default tags ----------------------------------------------------------------------------


def test_deprecated_tags_are_copied_as_text_and_stay() -> None:
    deprecated = {
        "text": Value(text="a"),
        "integer": Value(integer=-5),
        "decimal": Value(decimal=1e21),
        "nothing": Value(),
        "clash": Value(text="wins"),
    }

    result = rewritten(TagRewriter({}), Envelope(tags={"clash": "loses"}, deprecated_tags=deprecated))

    assert result.tags == {"text": "a", "integer": "-5", "decimal": "1" + "0" * 21, "nothing": "", "clash": "wins"}
    assert result.deprecated_tags == deprecated


def test_default_tags_are_added_where_absent() -> None:
    envelope = Envelope(tags={"ip": "own"}, deprecated_tags={"job": Value(text="d")})

    result = rewritten(TagRewriter({**DEFAULTS, "job": "j"}), envelope)

    assert result.tags == {"deployment": "cf", "ip": "own", "job": "d"}


def test_defaults_are_the_map_entries_to_put_before_an_envelope() -> None:
    body = Envelope(source_id="s", tags={"ip": "own"}).SerializeToString()

    assert Envelope.FromString(TagRewriter(DEFAULTS).defaults + body) == Envelope(
        source_id="s", tags={"deployment": "cf", "ip": "own"}
    )


@given(envelopes.filter(lambda e: e.source_id and not e.deprecated_tags and not e.HasField("counter")))
def test_to_an_envelope_that_needs_no_thought_rewriting_adds_the_defaults(envelope: Envelope) -> None:
    rewriter = TagRewriter(DEFAULTS)
    body = envelope.SerializeToString()

    assert canonical(rewritten(rewriter, envelope)) == canonical(Envelope.FromString(rewriter.defaults + body))


@given(envelopes)
def test_everything_else_stays_as_it_was(envelope: Envelope) -> None:
    result = rewritten(TagRewriter(DEFAULTS), envelope)

    for changed in (result, envelope):
        changed.ClearField("tags")
        changed.ClearField("source_id")
        if changed.HasField("counter"):
            changed.counter.total = 0
    assert canonical(result) == canonical(envelope)


# --- (d) counter totals -----------------------------------------------------------------------------------------------


def test_deltas_add_up_to_a_total() -> None:
    rewriter = TagRewriter(DEFAULTS)

    assert [total_after(rewriter, hits(delta=delta)) for delta in (1, 2, 3)] == [1, 3, 6]


def test_the_delta_stays() -> None:
    assert rewritten(TagRewriter({}), hits(delta=3)).counter.delta == 3


def test_a_total_that_was_sent_replaces_the_one_remembered() -> None:
    rewriter = TagRewriter(DEFAULTS)
    sent = [hits(delta=5), hits(delta=1, total=100), hits(delta=2), hits(total=7), hits(delta=1)]

    assert [total_after(rewriter, envelope) for envelope in sent] == [5, 100, 102, 7, 8]


def test_a_counter_of_nothing_starts_again_from_0() -> None:
    rewriter = TagRewriter(DEFAULTS)

    assert [total_after(rewriter, envelope) for envelope in (hits(delta=5), hits(), hits(delta=1))] == [5, 0, 1]


def test_a_total_wraps_at_64_bits() -> None:
    rewriter = TagRewriter(DEFAULTS)

    assert [total_after(rewriter, envelope) for envelope in (hits(total=2**64 - 1), hits(delta=3))] == [2**64 - 1, 2]


@pytest.mark.parametrize(
    "other",
    [
        Envelope(source_id="s", counter=Counter(name="misses", delta=1)),
        Envelope(source_id="other", counter=Counter(name="hits", delta=1)),
        Envelope(source_id="s", tags={"path": "/"}, counter=Counter(name="hits", delta=1)),
    ],
)
def test_counters_of_another_name_source_or_tags_are_counted_apart(other: Envelope) -> None:
    rewriter = TagRewriter(DEFAULTS)
    total_after(rewriter, hits(delta=5))

    assert total_after(rewriter, other) == 1


def test_a_counter_is_known_by_its_tags_as_they_leave() -> None:
    rewriter = TagRewriter({"ip": "10.0.0.1"})
    deprecated = Envelope(source_id="s", deprecated_tags={"path": Value(text="/")}, counter=Counter(name="hits"))
    deprecated.counter.delta = 1
    sent = [hits(delta=1, path="/"), hits(delta=1, path="/", ip="10.0.0.1"), deprecated]

    assert [total_after(rewriter, envelope) for envelope in sent] == [1, 2, 3]


def test_where_one_tag_ends_and_the_next_begins_matters() -> None:
    rewriter = TagRewriter({})
    total_after(rewriter, hits(delta=5, a="b", c="d"))

    assert total_after(rewriter, hits(delta=1, a="b', 'c", d="")) == 1
    assert total_after(rewriter, hits(delta=1, a="bcd")) == 1


def test_once_more_counters_are_known_than_may_be_all_start_again() -> None:
    rewriter = TagRewriter({}, max_counters=2)
    for path in "abc":
        total_after(rewriter, hits(delta=5, path=path))

    assert total_after(rewriter, hits(delta=1, path="a")) == 1


def test_as_many_counters_as_may_be_are_remembered() -> None:
    rewriter = TagRewriter({}, max_counters=2)
    for path in "ab":
        total_after(rewriter, hits(delta=5, path=path))

    assert total_after(rewriter, hits(delta=1, path="a")) == 6


@given(st.lists(counter_envelopes, max_size=6))
def test_the_same_envelopes_come_out_the_same(several: list[Envelope]) -> None:
    one, other = TagRewriter(DEFAULTS), TagRewriter(DEFAULTS)

    for envelope in several:
        assert canonical(rewritten(one, envelope)) == canonical(rewritten(other, envelope))


def test_bytes_that_are_no_envelope_are_refused() -> None:
    with pytest.raises(DecodeError, match="malformed envelope"):
        TagRewriter(DEFAULTS).rewrite(b"\x12\x05s")
