"""A budget is spent up to its end and no further, and looks at the clock of whoever gave it."""

import pytest

from log_cache.promql.budget import Budget
from log_cache.promql.values import QueryError


def test_spending_all_is_allowed_and_one_more_is_not() -> None:
    budget = Budget(max_samples=10)
    budget.spend(10)

    with pytest.raises(QueryError, match="query processing would load too many samples into memory") as refused:
        budget.spend(1)

    assert refused.value.kind == "execution"


def test_the_deadline_is_looked_at_with_every_payment() -> None:
    looks: list[int] = []
    budget = Budget(check=lambda: looks.append(1))

    budget.spend(1)
    budget.spend(1)

    assert len(looks) == 2
