"""Write a package with a nozzle of its own in it, and a test of that: a beginning for somebody's own."""

from __future__ import annotations

import re
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path
from string import Template

from nozzles.found import kinds
from standpipe.errors import CommandFailed

_FILES = Path(__file__).with_name("files")
_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_MOST_LETTERS = 40


def write_skeleton(name: str, into: Path) -> Path:
    """Make the directory `into/name`, with a package in it that has the nozzle; returns the directory.

    Raises `CommandFailed` for a name that makes no module, or another has, and when the directory is there.
    """
    if not _NAME.fullmatch(name) or len(name) > _MOST_LETTERS:
        raise CommandFailed(
            f"{name!r} is no name for a nozzle: small letters, digits, and single - or _ between them, "
            f"at most {_MOST_LETTERS} characters"
        )
    directory, module = into / name, name.replace("-", "_")
    if iskeyword(module) or module in kinds() or find_spec(module) is not None:
        raise CommandFailed(f"{name!r} is no name for a nozzle: Python, or another nozzle, has it already")
    try:
        directory.mkdir(parents=True)
        for template in sorted(_FILES.iterdir()):
            text = Template(template.read_text(encoding="utf-8")).substitute(name=name, module=module)
            (directory / template.name.replace("MODULE", module).removesuffix(".in")).write_text(text, encoding="utf-8")
    except FileExistsError:
        raise CommandFailed(f"{directory} is there already") from None
    except OSError as error:
        raise CommandFailed(f"{directory}: {error.strerror or error}") from error
    return directory
