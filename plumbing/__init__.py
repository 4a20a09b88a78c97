"""Shared I/O: the gRPC, WebSocket and HTTP edges, TLS, tokens, settings, metrics and lifecycle of every component."""

import os

# gRPC's own thread pool off: its sockets are served by the one thread that feeds the island, for a quarter less CPU
# (docs/decisions/0001-grpc-on-an-island.md). gRPC reads this when it is first imported, which is why it stands here.
os.environ.setdefault(
    "GRPC_EXPERIMENTS",
    ",".join(f"-event_engine_{part}" for part in ("client", "listener", "for_all_other_endpoints", "callback_cq")),
)
