"""Find out within a moment whether a gRPC component answers, and if not, why.

gRPC itself only ever says that there is no connection, and only when its patience has ended.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import trio

from plumbing.config import parse_listen
from plumbing.tls import client_context
from standpipe.errors import AccessDenied
from standpipe.system import System

PATIENCE_S = 3.0
_REFUSAL_WITHIN_S = 0.3
"""A TLS 1.3 server says after the handshake that it will not have us; one that is content speaks first, too."""


async def knock(system: System, name: str, server_name: str) -> None:
    """Open a TLS connection to a component and close it again.

    Raises `NotRunning` when nobody answers whose certificate carries `server_name`, `AccessDenied` when ours is not
    accepted.
    """
    files = system.tls()
    context = client_context(files.ca, files.cert, files.key, alpn=["h2"])
    host, port = parse_listen(system.address(name))
    try:
        with trio.fail_after(PATIENCE_S):
            async with await trio.open_tcp_stream(host, port) as connection:
                tls = trio.SSLStream(connection, context, server_hostname=server_name)
                await tls.do_handshake()
                with trio.move_on_after(_REFUSAL_WITHIN_S):
                    await tls.receive_some(1)
    except trio.TooSlowError:
        raise system.unreachable(name, f"no answer within {PATIENCE_S:g} s") from None
    except (OSError, trio.BrokenResourceError) as error:
        causes = list(_causes(error))
        if alert := next((each for each in causes if "alert" in str(each).lower()), None):
            raise AccessDenied(f"{name} at {system.address(name)} does not accept {files.cert}: {alert}") from error
        raise system.unreachable(name, _in_words(causes)) from error


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and what it came from: an attempt for each address of a name is in a group of its own."""
    yield error
    for each in error.exceptions if isinstance(error, BaseExceptionGroup) else [error.__cause__]:
        if each is not None:
            yield from _causes(each)


def _in_words(causes: list[BaseException]) -> str:
    for each in reversed(causes):
        if isinstance(each, ssl.SSLCertVerificationError):
            return f"its certificate is not accepted: {each.verify_message}"
        if isinstance(each, OSError) and each.strerror:
            return each.strerror.lower()
    return str(causes[0]) or "the connection broke"
