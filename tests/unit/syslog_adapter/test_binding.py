from syslog_adapter.binding import Binding


def test_a_binding_of_no_source_is_for_everybody() -> None:
    assert Binding(url="syslog://far").is_aggregate
    assert not Binding(url="syslog://far", source_id="shop").is_aggregate


def test_equal_bindings_are_one_drain() -> None:
    drains = {Binding(url="syslog://far", source_id="shop"): 1}

    assert Binding(url="syslog://far", source_id="shop") in drains
    assert Binding(url="syslog://far", source_id="shop", ca="other") not in drains
