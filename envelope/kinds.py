"""The kinds of envelope as bits, so that a set of kinds is one plain int."""

from enum import IntFlag


class Kind(IntFlag):
    """What a v2 envelope carries: one bit for each member of its `message` oneof, and one for none."""

    LOG = 1
    COUNTER = 2
    GAUGE = 4
    TIMER = 8
    EVENT = 16
    BARE = 32
    """No message is set."""

    TYPED = 31
    """Everything but `BARE`."""
    ALL = 63


class Keep(IntFlag):
    """Which v1 envelopes a reader asked for."""

    LOGS = 1
    """LogMessage."""
    METRICS = 2
    """Every other v1 type."""
    ALL = 3
    APP = 4
    """What an app's stream carries: the v1 types that name an app (LogMessage, ContainerMetric, HttpStartStop with an
    applicationId). It narrows alone; `LOGS` and `METRICS` beside it change nothing."""
