"""The hot room's functions: the compiled kernel where there is one, else the reference in plain Python.

`STANDPIPE_KERNEL=reference` in the environment asks for the reference all the same. `ACTIVE` says which one runs.
What each function promises is written in `envelope.reference`.
"""

import os


def _heed_the_environment() -> None:
    if os.environ.get("STANDPIPE_KERNEL") == "reference":
        raise ImportError("the reference was asked for")


try:
    _heed_the_environment()
    from envelope._compiled import (
        admit,
        columns,
        converge,
        count,
        deal,
        filter_has,
        json_batch,
        json_envelopes,
        line_fields,
        log_batch,
        marks,
        pairs,
        samples,
        select,
        severities,
        spans,
        split,
        syslog,
        tag,
        v1_frames,
        v1_messages,
        word_filter,
        ws_payloads,
    )

    ACTIVE = "compiled"
except ImportError:
    from envelope.reference import (
        admit,
        columns,
        converge,
        count,
        deal,
        filter_has,
        json_batch,
        json_envelopes,
        line_fields,
        log_batch,
        marks,
        pairs,
        samples,
        select,
        severities,
        spans,
        split,
        syslog,
        tag,
        v1_frames,
        v1_messages,
        word_filter,
        ws_payloads,
    )

    ACTIVE = "reference"

__all__ = [
    "ACTIVE",
    "admit",
    "columns",
    "converge",
    "count",
    "deal",
    "filter_has",
    "json_batch",
    "json_envelopes",
    "line_fields",
    "log_batch",
    "marks",
    "pairs",
    "samples",
    "select",
    "severities",
    "spans",
    "split",
    "syslog",
    "tag",
    "v1_frames",
    "v1_messages",
    "word_filter",
    "ws_payloads",
]
