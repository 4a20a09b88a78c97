import math
from calendar import monthrange
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from log_cache.promql.dates import FUNCTIONS
from log_cache.promql.steps import StepTimes
from log_cache.promql.values import Columns
from tests.unit.log_cache.promql.tables import Table, labels, shown, table

INSTANT = StepTimes.instant(0)
NEW_YEAR_2024 = 1_704_067_200


def of(name: str, value: float) -> float:
    columns = Columns([labels("up a=1")], np.array([[value]]), np.array([[True]]))
    result = FUNCTIONS[name]([columns], INSTANT)
    assert isinstance(result, Columns)
    return float(result.values[0, 0])


@given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)), st.floats(0, 0.99))
def test_fields_are_those_of_the_calendar(moment: datetime, fraction: float) -> None:
    moment = moment.replace(microsecond=0)
    since = moment.timestamp() + (fraction if moment.timestamp() >= 0 else -fraction)

    assert {name: of(name, since) for name in FUNCTIONS} == {
        "minute": moment.minute,
        "hour": moment.hour,
        "day_of_week": moment.isoweekday() % 7,
        "day_of_month": moment.day,
        "day_of_year": moment.timetuple().tm_yday,
        "days_in_month": monthrange(moment.year, moment.month)[1],
        "month": moment.month,
        "year": moment.year,
    }


def test_without_an_argument_it_is_the_time_of_the_step() -> None:
    times = StepTimes(start_ms=NEW_YEAR_2024 * 1000 - 1, end_ms=NEW_YEAR_2024 * 1000, step_ms=1)

    assert shown(FUNCTIONS["year"]([], times)) == {"": "2023 2024"}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300])
def test_what_is_no_time_is_nan(value: float) -> None:
    assert math.isnan(of("year", value))


def test_the_name_goes_and_gaps_stay() -> None:
    series: Table = {"up a=1": f"0 _ {NEW_YEAR_2024}"}

    assert shown(FUNCTIONS["year"]([table(series)], INSTANT)) == {"a=1": "1970 _ 2024"}
