import pytest
from pydantic import ValidationError

from envelope.pb.loggregator_v2_pb2 import Counter, Envelope, Gauge, GaugeValue, Log, Timer
from nozzles.transforms.label import AddTags, Rename, add_tags, rename


def gauge(**metrics: float) -> Envelope:
    return Envelope(gauge=Gauge(metrics={name: GaugeValue(unit="u", value=value) for name, value in metrics.items()}))


def test_tags_are_renamed_all_at_once() -> None:
    step = rename(Rename(step="rename", tags={"a": "b", "b": "a", "c": "d"}))

    assert step(Envelope(tags={"a": "1", "b": "2", "d": "3"})) == Envelope(tags={"b": "1", "a": "2", "d": "3"})


def test_what_bears_the_new_name_already_gives_way() -> None:
    step = rename(Rename(step="rename", tags={"a": "b"}, metrics={"a": "b"}))

    assert step(Envelope(tags={"a": "1", "b": "2"})) == Envelope(tags={"b": "1"})
    assert step(gauge(a=1, b=2)) == gauge(b=1)


def test_metrics_of_every_kind_are_renamed() -> None:
    step = rename(Rename(step="rename", metrics={"old": "new", "x": "y", "y": "x"}))

    assert step(Envelope(counter=Counter(name="old", delta=3))) == Envelope(counter=Counter(name="new", delta=3))
    assert step(Envelope(timer=Timer(name="old", stop=3))) == Envelope(timer=Timer(name="new", stop=3))
    assert step(gauge(old=1, x=2, y=3, z=4)) == gauge(new=1, y=2, x=3, z=4)
    assert step(Envelope(log=Log(payload=b"old"))) == Envelope(log=Log(payload=b"old"))


def test_renaming_nothing_or_two_to_the_same_is_refused() -> None:
    with pytest.raises(ValidationError, match="says not what to rename"):
        Rename(step="rename")
    with pytest.raises(ValidationError, match="two names become the same one"):
        Rename(step="rename", tags={"a": "c", "b": "c"})


def test_own_tags_stay_unless_they_are_to_be_replaced() -> None:
    tags = {"site": "north", "job": "web"}

    assert add_tags(AddTags(step="add_tags", tags=tags))(Envelope(tags={"job": "db"})) == Envelope(
        tags={"site": "north", "job": "db"}
    )
    assert add_tags(AddTags(step="add_tags", tags=tags, overwrite=True))(Envelope(tags={"job": "db"})) == Envelope(
        tags=tags
    )
