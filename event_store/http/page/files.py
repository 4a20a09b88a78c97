"""The files of the page, and how each is answered. They are read once; nothing a client sends becomes a path."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PAGE = "index.html"
"""What is answered at `/`; the others are below `/static/`."""

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Nothing from elsewhere, nothing inline, and no text that becomes HTML: what is in the logs stays text."""


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file as it is answered; `headers` are all but its type and length."""

    body: bytes
    content_type: str
    headers: Mapping[str, str]

    @property
    def etag(self) -> str:
        """What `If-None-Match` holds when a browser has this file already: answer 304 then."""
        return self.headers["ETag"]


def page_file(name: str = PAGE) -> PageFile | None:
    """Return the file of this name, as it follows `/static/`; None when the page has no such file."""
    return _files().get(name)


@cache
def _files() -> Mapping[str, PageFile]:
    folder = Path(__file__).with_name("static")
    return {path.name: _read(path) for path in folder.iterdir() if path.suffix in _TYPES}


def _read(path: Path) -> PageFile:
    body = path.read_bytes()
    headers = {
        "Content-Security-Policy": _POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-cache",
        "ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"',
    }
    return PageFile(body, _TYPES[path.suffix], headers)
