"""PromQL read plainly: one expression, one instant, dicts and lists; slow, and independent of the engine it checks.

It follows Prometheus 2.x: what its documentation says, and what its tests hold it to where the documentation is silent.
"""

from tests.promql_oracle.evaluate import Answer, ask_at, ask_over
from tests.promql_oracle.vectors import Failure, Labels, Raw

__all__ = ["Answer", "Failure", "Labels", "Raw", "ask_at", "ask_over"]
