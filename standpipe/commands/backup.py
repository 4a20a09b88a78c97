"""`standpipe store backup`: a copy of this machine's event store, which is a store itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from standpipe.bar import bar
from standpipe.commands.store import EventsDir
from standpipe.errors import CommandFailed
from standpipe.options import DataDir, Json
from standpipe.printing import print_json, print_table
from standpipe.reading.session import notice
from standpipe.system import EVENTS_DIR, resolve_data_dir
from standpipe.units import bytes_text, count_text


def backup(
    target: Annotated[Path, typer.Argument(metavar="DIR", file_okay=False, help="The folder of the copy.")],
    events_dir: EventsDir = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Copy the event store to another folder, which is a store itself: the store may run, or not.

    Every event that is confirmed when it begins is in the copy. Done again, it copies what is new, and removes what the
    store has no more. Whatever ends it, and whenever, leaves the copy as it was or newer. Each file is checked as it is
    copied; what is sealed stays sealed, and needs no key. To restore, put the copy in the place of the store.

    Exit code 1: something in the store is damaged, and is not in the copy.

        standpipe store backup /mnt/backup/events
        standpipe store verify --events-dir /mnt/backup/events
    """
    from event_store.backup import BackupRefused, back_up
    from event_store.storage import StoreBusy, StoreDamaged, StoreMissing

    try:
        with bar() as draw:
            done = back_up(
                events_dir or resolve_data_dir(data_dir) / EVENTS_DIR,
                target,
                lambda copied, every: draw(copied / max(1, every), f"{bytes_text(copied)} of {bytes_text(every)}"),
            )
    except (BackupRefused, StoreBusy, StoreDamaged, StoreMissing) as error:
        raise CommandFailed(str(error)) from error
    except OSError as error:
        raise CommandFailed(f"cannot bring the copy in {target} up to date: {error}") from error
    figures = {
        "segments": done.segments,
        "copied": done.copied,
        "copied_bytes": done.copied_bytes,
        "log_bytes": done.log_bytes,
        "removed": done.removed,
    }
    if as_json:
        damaged = [{"file": one.file, "events": one.events, "what": one.what} for one in done.damages]
        print_json({**figures, "damaged": damaged})
    else:
        shown = [bytes_text(each) if name.endswith("_bytes") else count_text(each) for name, each in figures.items()]
        print_table([name.replace("_", " ") for name in figures], [shown])
    for one in done.damages:
        notice(f"{one.file}: {one.what}: its {count_text(one.events or 0)} events are not in the copy")
    if done.damages:
        raise typer.Exit(1)
