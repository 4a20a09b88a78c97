"""`standpipe store`: what is in the event store of this machine, whether it is as it was written; put it in order."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from standpipe.errors import CommandFailed
from standpipe.options import DataDir, Json
from standpipe.printing import print_json, print_table
from standpipe.system import EVENTS_DIR, resolve_data_dir
from standpipe.units import bytes_text, count_text

if TYPE_CHECKING:  # it takes most of a second to import, which no other command should
    from event_store.storage import Damage, Reader, Segment, Snapshot

EventsDir = Annotated[
    Path | None,
    typer.Option(
        "--events-dir",
        file_okay=False,
        metavar="DIR",
        help="Where the events are. Default: `events` in the data directory.",
    ),
]

KeyFile = Annotated[
    Path | None,
    typer.Option("--key-file", dir_okay=False, metavar="FILE", help="The keys, if the events are sealed (0600)."),
]

_RENEWED = "a store that runs makes it anew, and so does standpipe store compact"


def stats(
    events_dir: EventsDir = None, data_dir: DataDir = None, key_file: KeyFile = None, as_json: Json = False
) -> None:
    """Show how much is in the event store, as it is now: the store may run, or not.

    Reads what is on disk, on this machine.

        standpipe store stats
        standpipe store stats --json | jq .events
    """
    reader = open_reader(events_dir, data_dir, key_file)
    counted = _counted(reader.snapshot(), reader.damages)
    if as_json:
        print_json(counted)
    else:
        print_table(("", ""), [(name.replace("_", " "), _text(name, value)) for name, value in counted.items()])


def verify(
    events_dir: EventsDir = None, data_dir: DataDir = None, key_file: KeyFile = None, as_json: Json = False
) -> None:
    """Read every segment of the event store and its index, and say which are not what was written. Changes nothing.

    With a damaged index nothing is lost: queries do without it, and a store that runs makes it anew before long, as
    `standpipe store compact` does. The store may run meanwhile. Exit code 0: all of them are sound; 1: some are not.

        standpipe store verify
    """
    reader = open_reader(events_dir, data_dir, key_file)
    snapshot = reader.snapshot()
    passed_over = reader.damages
    segments, indexes = damages_of(snapshot.segments, reader)
    damaged = [*passed_over, *segments, *indexes]
    if as_json:
        lost, renewed = [described(each) for each in (*passed_over, *segments)], [described(each) for each in indexes]
        print_json({"segments": len(snapshot.segments), "damaged": lost, "damaged_indexes": renewed})
    elif damaged:
        print_table(("file", "events", "what"), [(each.file, _lost(each), each.what) for each in damaged])
    else:
        print_table(("segments", "damaged"), [(count_text(len(snapshot.segments)), "0")])
    if damaged:
        raise typer.Exit(1)


def compact(
    events_dir: EventsDir = None, data_dir: DataDir = None, key_file: KeyFile = None, as_json: Json = False
) -> None:
    """Join the segments of each hour into sorted ones, without waiting for the hour to end. The store must not run.

    A store that runs does so by itself, a while after the hour. With --key-file, what is not sealed with its first key
    is sealed with it. Damaged indexes are made anew. Nothing is removed: how long events are kept is a setting of the
    store that runs.

        standpipe store compact
    """
    from event_store.storage import StorageSettings, Store, StoreBusy, StoreDamaged, StoreFull, StoreLocked

    folder = events_dir or resolve_data_dir(data_dir) / EVENTS_DIR
    open_reader(events_dir, data_dir, key_file)  # a folder that is no store must not become one
    try:
        store = Store.open(folder, StorageSettings(key_file=key_file))
        try:
            before = store.stats()
            store.checks.indexes()
            store.flush()
            joined = store.compact(everything=True)
            after = store.stats()
        finally:
            store.close()
    except (StoreBusy, StoreDamaged, StoreLocked, StoreFull, OSError) as error:
        raise CommandFailed(str(error)) from error
    found = {"joined": joined, "segments": after.segments, "segment_bytes": after.segment_bytes}
    if as_json:
        print_json({**found, "segments_before": before.segments, "segment_bytes_before": before.segment_bytes})
    else:
        print_table(tuple(found), [tuple(_text(name, value) for name, value in found.items())])


def open_reader(events_dir: Path | None, data_dir: Path | None, key_file: Path | None = None) -> Reader:
    """Open the store to read it, beside its writer or without."""
    from event_store.storage import Reader, StoreDamaged, StoreLocked, StoreMissing

    try:
        return Reader.open(events_dir or resolve_data_dir(data_dir) / EVENTS_DIR, key_file=key_file)
    except (StoreMissing, StoreDamaged, StoreLocked, OSError) as error:
        raise CommandFailed(str(error)) from error


def damages_of(segments: Iterable[Segment], reader: Reader) -> tuple[list[Damage], list[Damage]]:
    """Read them all, and say which are damaged, and the indexes of which others.

    One that the store has given up, or made anew, meanwhile is none of it any more.
    """
    from event_store.storage import Damage
    from event_store.storage.verifying import verify_all

    bad, without = verify_all(reader.folder, segments)
    still = set(reader.snapshot().segments) if bad or without else set()
    indexes = {one.index_file: f"{what}; {_RENEWED}" for one, what in without.items() if one in still}
    return (
        [Damage(one.file, what, one.rows) for one, what in bad.items() if one in still],
        [Damage(file, what, 0) for file, what in indexes.items()],
    )


def _counted(snapshot: Snapshot, damages: Iterable[Damage]) -> dict[str, Any]:
    """Count what there is; times are ISO text, None where there is no event."""
    segments, hot = snapshot.segments, snapshot.hot
    starts, ends = [each.min_time for each in segments], [each.max_time for each in segments]
    for batch in hot:
        times = batch.column("time").cast("int64").to_numpy()
        starts.append(int(times.min()))
        ends.append(int(times.max()))
    return {
        "folder": str(snapshot.folder),
        "events": snapshot.rows,
        "oldest": _iso(min(starts)) if starts else None,
        "newest": _iso(max(ends)) if ends else None,
        "segments": len(segments),
        "segment_bytes": sum(each.bytes for each in segments),
        "hot_events": sum(batch.num_rows for batch in hot),
        "hot_bytes": sum(batch.nbytes for batch in hot),
        "columns": len(snapshot.columns),
        "damaged": [described(each) for each in damages],
    }


def described(damage: Damage) -> dict[str, Any]:
    """Return what JSON says of something that is damaged."""
    return {"file": damage.file, "events": damage.events, "what": damage.what}


def _lost(damage: Damage) -> str:
    return "-" if damage.events is None else count_text(damage.events)


def _iso(time_ns: int) -> str:
    seconds, rest = divmod(time_ns, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def _text(name: str, value: Any) -> str:
    match value:
        case None:
            return "-"
        case int():
            return bytes_text(value) if name.endswith("_bytes") else count_text(value)
        case list():
            return count_text(len(value))
    return str(value)
