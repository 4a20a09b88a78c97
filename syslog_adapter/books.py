"""The books of one adapter: what came in, and what became of each copy that a drain was given."""

from __future__ import annotations

from plumbing.ledger import Account
from syslog_adapter.intake import Intake
from syslog_adapter.pool import Pool

FEW = 100
"""As many drains as have an account of their own."""


def accounts(intake: Intake, pool: Pool) -> list[Account]:
    """Show them: the subscription, all drains, and each drain if there are few."""
    drains = list(pool.everyone)
    each = [drain.part(f"drain {place}: {drain.shown_url}") for place, drain in enumerate(drains, start=1)]
    return [intake.account(), pool.account(), *(each if len(drains) <= FEW else [])]
