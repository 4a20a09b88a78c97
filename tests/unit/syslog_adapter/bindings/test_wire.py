from hypothesis import given
from hypothesis import strategies as st

from syslog_adapter.binding import Binding
from syslog_adapter.bindings.wire import WireBinding, to_wire

few = st.sampled_from(["", "a", "b"])
bound = st.builds(
    Binding, url=st.sampled_from(["syslog://a:1", "https://b"]), source_id=st.sampled_from(["app-1", "app-2"]),
    hostname=few, cert=few, key=few, ca=few,
)  # fmt: skip


@given(st.lists(bound, unique=True))
def test_what_is_written_is_read_again(bindings: list[Binding]) -> None:
    written = to_wire(bindings)

    assert {each for item in written for each in WireBinding.model_validate(item).bindings()} == set(bindings)


def test_one_url_has_one_object_and_one_credentials_for_each_that_differ() -> None:
    written = to_wire(
        [
            Binding(url="https://b", source_id="1", hostname="h"),
            Binding(url="https://b", source_id="2", hostname="h"),
            Binding(url="https://b", source_id="3", ca="C"),
        ]
    )

    assert [item["url"] for item in written] == ["https://b"]
    assert [len(each["apps"]) for each in written[0]["credentials"]] == [2, 1]


def test_an_aggregate_drain_has_credentials_without_apps() -> None:
    assert to_wire([Binding(url="https://b", ca="C")]) == [
        {"url": "https://b", "credentials": [{"cert": "", "key": "", "ca": "C", "apps": []}]}
    ]


def test_null_is_nothing() -> None:
    assert WireBinding.model_validate({"url": "u", "credentials": None}).bindings() == []
    assert WireBinding.model_validate({"url": "u", "credentials": [{"apps": None}]}).bindings() == []
