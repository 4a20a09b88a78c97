"""Find the token in a request."""

from collections.abc import Iterable, Mapping
from urllib.parse import unquote_plus


def presented_token(headers: Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]) -> str | None:
    """Return the token of a request: its `Authorization` header, else its cookie `authorization`; None without.

    The prefix `bearer ` is taken off in any case. Headers may be a mapping or pairs, with names in any case.
    """
    # The headers of `websockets` are a mapping that raises on a name that comes twice, unless asked for raw items.
    pairs = getattr(headers, "raw_items", headers.items)() if isinstance(headers, Mapping) else headers
    authorization, cookies = "", []
    for name, value in ((_text(name).lower(), _text(value).strip()) for name, value in pairs):
        if name == "authorization":
            authorization = authorization or value
        elif name == "cookie":
            cookies.append(value)
    token = authorization or _cookie("authorization", cookies)
    scheme, _, rest = token.partition(" ")
    return (rest if scheme.lower() == "bearer" else token).strip() or None


def _cookie(name: str, cookies: Iterable[str]) -> str:
    """Return the unescaped value of the first cookie of that name, or nothing."""
    for pair in ";".join(cookies).split(";"):
        key, _, value = pair.strip().partition("=")
        if key.strip() == name:
            return unquote_plus(value.strip().strip('"')).strip()
    return ""


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")
