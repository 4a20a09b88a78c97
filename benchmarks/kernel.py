"""Time every kernel function alone: the compiled one against the reference, in nanoseconds per envelope.

`python -m benchmarks.kernel` prints a table. The batches are like those of the pipeline's budgets: 100 envelopes of 518
bytes on average from 200 sources, 80 % logs, 10 % timers, 7 % gauges, 3 % counters.
"Joined" is 20 of them as one batch, as a cache deals them out. `line_fields` has lines of `event_data` instead: JSON,
access lines and plain ones.
"""

import statistics
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from types import ModuleType
from typing import Any

from benchmarks import event_data
from benchmarks.workload import BATCH_SIZE, make_batches
from envelope import _compiled, reference
from envelope.columns import MOST_TAGS
from envelope.kinds import Keep, Kind
from envelope.pb.loggregator_v2_pb2 import Envelope
from event_store.fields import fields_of

BATCHES = 20
REPEATS = 9
COMPILED_S = 0.05
"""How long one repeat of a compiled function runs; the reference makes do with one pass over the batches."""

DEFAULTS = Envelope(tags={"deployment": "cf", "job": "diego-cell", "index": str(uuid.UUID(int=7)), "ip": "10.0.16.23"})
HEAD = Envelope(source_id=str(uuid.UUID(int=1)), instance_id="0", tags={"source_type": "APP/PROC/WEB"})
LINES = [b"x" * 300] * BATCH_SIZE


def batches() -> list[bytes]:
    """Make the batches, the same ones every time."""
    return make_batches(tagged=True, count=BATCHES)


def measure() -> list[dict[str, Any]]:
    """Time every function: name, compiled and reference ns per envelope (medians), and how many times faster."""
    work = batches()
    rows = []
    for name, call in _calls(work).items():
        compiled_ns = statistics.median(_time(call, _compiled, COMPILED_S) for _ in range(REPEATS))
        reference_ns = statistics.median(_time(call, reference, 0.0) for _ in range(3))
        rows.append(
            {
                "function": name,
                "compiled_ns": round(compiled_ns, 1),
                "reference_ns": round(reference_ns, 1),
                "times_faster": round(reference_ns / compiled_ns, 1),
            }
        )
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Lay the rows out as a Markdown table."""
    head = "| function | compiled, ns per envelope | reference, ns per envelope | times faster |\n|---|---|---|---|\n"
    line = "| {function} | {compiled_ns:,.0f} | {reference_ns:,.0f} | {times_faster:.0f} |"
    return head + "\n".join(line.format(**row) for row in rows)


def _calls(work: list[bytes]) -> dict[str, Callable[[ModuleType], None]]:
    """Name what is timed: each call does one pass over all batches with the kernel it is given."""
    ids = {span[3] for batch in work for span in reference.spans(batch)}
    one_source = {min(ids)}
    defaults = DEFAULTS.SerializeToString()
    head = HEAD.SerializeToString()
    frames = [reference.v1_frames(batch, Keep.ALL)[0] for batch in work]
    joined = [b"".join(work)]
    every_name: defaultdict[bytes, bool] = defaultdict(lambda: True)

    def over(call: Callable[[ModuleType, bytes], object], inputs: list[bytes] = work) -> Callable[[ModuleType], None]:
        def run(kernel: ModuleType) -> None:
            for item in inputs:
                call(kernel, item)

        return run

    lines = _lines()

    def find_fields(kernel: ModuleType) -> None:
        for texts, ends, kinds in lines:
            kernel.line_fields(texts, ends, kinds, MOST_TAGS, fields_of)

    return {
        "admit": over(lambda kernel, batch: kernel.admit(batch)),
        "spans": over(lambda kernel, batch: kernel.spans(batch)),
        "select (logs)": over(lambda kernel, batch: kernel.select(batch, int(Kind.LOG))),
        "split (one source)": over(lambda kernel, batch: kernel.split(batch, one_source)),
        "split (every source)": over(lambda kernel, batch: kernel.split(batch, ids)),
        "deal": over(lambda kernel, batch: kernel.deal(batch)),
        "deal (joined)": over(lambda kernel, batch: kernel.deal(batch), joined),
        "samples": over(lambda kernel, batch: kernel.samples(batch, every_name)),
        "samples (joined)": over(lambda kernel, batch: kernel.samples(batch, every_name), joined),
        "columns": over(lambda kernel, batch: kernel.columns(batch)),
        "columns (joined)": over(lambda kernel, batch: kernel.columns(batch), joined),
        "line_fields": find_fields,
        "marks": over(lambda kernel, batch: kernel.marks(batch)),
        "tag": over(lambda kernel, batch: kernel.tag(batch, defaults, bytes)),
        "converge (preferred)": over(lambda kernel, batch: kernel.converge(batch, True)),
        "converge (deprecated)": over(lambda kernel, batch: kernel.converge(batch, False)),
        "v1_frames (all)": over(lambda kernel, batch: kernel.v1_frames(batch, int(Keep.ALL))),
        "v1_frames (app)": over(lambda kernel, batch: kernel.v1_frames(batch, int(Keep.APP))),
        "v1_messages": over(lambda kernel, batch: kernel.v1_messages(batch)),
        "json_batch": over(lambda kernel, batch: kernel.json_batch(batch)),
        "json_envelopes": over(lambda kernel, batch: kernel.json_envelopes(batch)),
        "log_batch": over(lambda kernel, _: kernel.log_batch(LINES, head, 1_700_000_000_000_000_000, False)),
        "ws_payloads": over(lambda kernel, buffer: kernel.ws_payloads(buffer), frames),
    }


def _lines() -> list[tuple[bytes, bytes, bytes]]:
    """Make lines as web servers and apps write them, a batch of them for each batch of envelopes."""
    (events,) = event_data.batches(2 * BATCHES * BATCH_SIZE)
    texts = [text.encode() for text in events.column("message").drop_null().to_pylist()]
    starts = range(0, BATCHES * BATCH_SIZE, BATCH_SIZE)
    batches = [reference.log_batch(texts[start : start + BATCH_SIZE], b"", 1, False) for start in starts]
    return [(made.texts, made.ends, made.kinds) for made in map(reference.columns, batches)]


def _time(call: Callable[[ModuleType], None], kernel: ModuleType, at_least_s: float) -> float:
    """Return nanoseconds per envelope, over as many passes as take `at_least_s`."""
    passes = 0
    start = time.perf_counter()
    while True:
        call(kernel)
        passes += 1
        elapsed_s = time.perf_counter() - start
        if elapsed_s >= at_least_s:
            return elapsed_s / (passes * BATCHES * BATCH_SIZE) * 1e9


if __name__ == "__main__":
    print(table(measure()))
