from envelope.kinds import Keep, Kind


def test_all_is_every_kind_and_typed_all_but_bare() -> None:
    kinds = Kind.LOG | Kind.COUNTER | Kind.GAUGE | Kind.TIMER | Kind.EVENT

    assert kinds == Kind.TYPED == 31
    assert kinds | Kind.BARE == Kind.ALL == 63


def test_keeping_all_is_keeping_logs_and_metrics() -> None:
    assert Keep.LOGS | Keep.METRICS == Keep.ALL == 3
