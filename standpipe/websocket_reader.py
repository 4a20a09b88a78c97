"""Read a stream of the traffic controller: lists of messages out of a WebSocket, many at a time.

In:    v1 envelopes, one to a binary frame, over TLS.
Out:   `read` yields them as bytes, everything that has arrived in one list.
Drops: nothing.

Whole binary frames are split off by the kernel; the handshake, control frames and fragments are left to the sans-I/O
protocol of websockets, which costs 1.4 µs a frame.
"""

from __future__ import annotations

import random
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from urllib.parse import quote

import trio
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.frames import CLOSE, CONTROL_FRAME_BYTES, Close, CloseCode, Frame
from websockets.http11 import Response
from websockets.protocol import CONNECTING, OPEN
from websockets.uri import WebSocketURI

from envelope import kernel
from plumbing.grpc_client import Backoff
