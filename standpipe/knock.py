"""Find out within a moment whether a component answers, and if not, why."""

from __future__ import annotations

import ssl

import trio

from plumbing.config import parse_listen
from plumbing.tls import client_context
from standpipe.system import System

PATIENCE_S = 3.0


async def knock(system: System, name: str) -> None:
    """Open a TLS connection to a component and close it; raises `NotRunning` with the reason when that fails.

    gRPC only ever says "no connection", and only after its own patience has ended.
    """
    files = system.tls()
    context = client_context(files.ca, files.cert, files.key, alpn=["h2"])
    host, port = parse_listen(system.address(name))
    try:
        with trio.fail_after(PATIENCE_S):
            async with await trio.open_tcp_stream(host, port) as stream:
                await trio.SSLStream(stream, context, server_hostname=system.server_name(name)).do_handshake()
    except trio.TooSlowError:
        raise system.unreachable(name, f"no answer within {PATIENCE_S:g} s") from None
    except (OSError, trio.BrokenResourceError) as error:
        raise system.unreachable(name, _reason(error)) from error


def _reason(error: BaseException) -> str:
    """Say what a connection failed of: the innermost cause is the one that names it."""
    causes = [error]
    while cause := causes[-1].__cause__:
        causes.append(cause)
    for each in reversed(causes):
        if isinstance(each, ssl.SSLCertVerificationError):
            return f"its certificate is not accepted: {each.verify_message}"
        if isinstance(each, OSError) and each.strerror:
            return each.strerror.lower() if each.errno and each.errno > 0 else each.strerror
    return str(error) or type(error).__name__
