"""Find out within a moment whether a gRPC component answers, and if not, why.

gRPC itself only ever says that there is no connection, and only when its patience has ended.
"""

from __future__ import annotations

import trio

from plumbing.config import parse_listen
from plumbing.reasons import reason
from plumbing.tls import client_context
from standpipe.errors import AccessDenied
from standpipe.system import System

PATIENCE_S = 3.0
_REFUSAL_WITHIN_S = 0.3


async def knock(system: System, name: str, server_name: str) -> None:
    """Open a TLS connection to a component and close it again.

    Raises `NotRunning` when nobody answers whose certificate carries `server_name`, `AccessDenied` when ours is not
    accepted.
    """
    files, address = system.tls(), system.address(name)
    context = client_context(files.ca, files.cert, files.key, alpn=["h2"])
    host, port = parse_listen(address)
    try:
        with trio.fail_after(PATIENCE_S):
            async with await trio.open_tcp_stream(host, port) as connection:
                tls = trio.SSLStream(connection, context, server_hostname=server_name)
                await tls.do_handshake()
                if await _is_sent_away(tls):
                    raise AccessDenied(f"{name} at {address} does not accept the certificate {files.cert}")
    except trio.TooSlowError:
        raise system.unreachable(name, f"no answer within {PATIENCE_S:g} s") from None
    except (OSError, trio.BrokenResourceError) as error:
        raise system.unreachable(name, reason(error)) from error


async def _is_sent_away(tls: trio.SSLStream[trio.SocketStream]) -> bool:
    """Tell whether a server hangs up after the handshake, as TLS 1.3 has it; one that is content speaks first."""
    with trio.move_on_after(_REFUSAL_WITHIN_S):
        try:
            return not await tls.receive_some(1)
        except (OSError, trio.BrokenResourceError):
            return True
    return False
