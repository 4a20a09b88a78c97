"""Print envelopes as they arrive: lines for people, or JSON for programs."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from envelope.errors import DecodeError
from standpipe.reading.show import COLOURED, PLAIN, Palette, json_line, line, to_record
from standpipe.reading.stdout import Stdout


def palette_for(environ: Mapping[str, str] = os.environ) -> Palette:
    """Colours for a terminal, unless somebody asked for none (no-color.org)."""
    wanted = sys.stdout.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    return COLOURED if wanted else PLAIN


class EnvelopePrinter:
    """Prints lists of serialised v1 envelopes, `limit` of them at most (0: any number)."""

    def __init__(self, stdout: Stdout, *, as_json: bool, palette: Palette = PLAIN, limit: int = 0) -> None:
        self.undecodable = 0
        """Messages that are no envelopes, and so were not printed."""
        self._stdout = stdout
        self._as_json = as_json
        self._palette = palette
        self._limit = limit
        self._printed = 0

    async def show(self, messages: list[bytes]) -> bool:
        """Print these; False when no more are wanted, by the limit or by whoever reads the output."""
        left = self._limit - self._printed if self._limit else len(messages)
        lines = self._lines(messages, left)
        self._printed += len(lines)
        return await self._stdout.write(b"".join(lines)) and not 0 < self._limit <= self._printed

    def _lines(self, messages: list[bytes], most: int) -> list[bytes]:
        write = json_line if self._as_json else self._line
        lines: list[bytes] = []
        for message in messages:
            if len(lines) == most:
                break
            try:
                lines.append(write(message))
            except DecodeError:
                self.undecodable += 1
        return lines

    def _line(self, message: bytes) -> bytes:
        return f"{line(to_record(message), self._palette)}\n".encode()
