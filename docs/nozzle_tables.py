"""What docs/nozzles.md says of each kind of nozzle, and of each step, from the code."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import get_args

from docs.marked_page import settings_table
from nozzles.found import GROUP, load_kind
from nozzles.transforms import TransformSettings
from plumbing.setting_rows import rows_of
from standpipe.commands.nozzle import about


def tables() -> dict[str, str]:
    """Write both parts: each kind and each step under a heading of its own."""
    return {"kinds": "\n".join(_kinds()), "steps": "\n".join(_steps())}


def _kinds() -> list[str]:
    written = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        if point.dist is not None and point.dist.name == "standpipe":
            kind = load_kind(point.name)
            needs = f" Needs the extra: `pip install standpipe[{','.join(point.extras)}]`." if point.extras else ""
            promise = kind.delivery.replace("-", " ").capitalize()
            rows = settings_table(rows_of(kind.Config, f"{GROUP}.{point.name}"), places=False)
            written.append(f"### {point.name}\n\n{about(kind)} {promise}.{needs}\n\n{rows}")
    return written


def _steps() -> list[str]:
    written = []
    for settings in get_args(get_args(TransformSettings)[0]):
        (name,) = get_args(settings.model_fields["step"].annotation)
        rows = [row for row in rows_of(settings, "") if row.name != "step"]
        written.append(f"### {name}\n\n{' '.join(settings.__doc__.split())}\n\n{settings_table(rows, places=False)}")
    return written
