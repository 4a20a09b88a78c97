import numpy as np
import pytest

from log_cache.promql.arguments import calculated, numbers, of_each_number, seconds, text, vector
from log_cache.promql.steps import StepTimes
from log_cache.promql.values import Numeric, Text
from tests.unit.log_cache.promql.tables import shown, table

TIMES = StepTimes(start_ms=1500, end_ms=3500, step_ms=1000)


def test_arguments_are_taken_for_what_they_are() -> None:
    columns, values = table({"up": "1"}), np.array([1.0])

    assert vector(columns) is columns
    assert numbers(Numeric(values)) is values
    assert text(Text("a")) == "a"


def test_an_argument_of_another_type_is_a_fault_of_the_caller() -> None:
    with pytest.raises(AssertionError):
        vector(Text("a"))


def test_seconds_have_fractions() -> None:
    assert seconds(TIMES).tolist() == [1.5, 2.5, 3.5]


def test_what_was_calculated_has_no_name() -> None:
    columns = table({"up a=1": "1 2 _"})

    result = calculated(columns, columns.values * 2, np.array([True, False, True]))

    assert shown(result) == {"a=1": "2 _ _"}


def test_a_formula_becomes_a_function() -> None:
    halves = of_each_number(lambda values: values / 2)

    assert shown(halves([table({"up a=1": "1 2 _"})], TIMES)) == {"a=1": "0.5 1 _"}
