"""Publish each envelope as a message to a stream of NATS JetStream.

In:    batches; with an id, each message is named `<id>-<place in the batch>`.
Out:   messages of a JetStream stream, in order, each acknowledged by it.
Drops: what is larger than a message may be, and what cannot be written as JSON: both are refused.

Exactly once, with a spool: a batch with an id is there once as long as it is safe within the stream's duplicate window
(two minutes unless the stream says otherwise): a message whose `Nats-Msg-Id` the stream has seen within it is
acknowledged and not stored again. A retry after that, or a batch without an id, may be there twice. Nothing is lost: a
batch is safe when the stream has acknowledged every message of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

from nozzles.nats_jetstream.config import Config
from nozzles.nats_jetstream.publisher import Publisher
from nozzles.sdk import Batch, NozzleKind, Write
from plumbing.island import open_island
from plumbing.secret_files import check_private, read_secret
from plumbing.tls import client_context

__all__ = ["Config", "kind", "open_nozzle"]


@asynccontextmanager
async def open_nozzle(config: Config) -> AsyncIterator[Write]:
    """Yield `write`; the connection is made for the first batch, and made anew for the next one after it broke."""
    publisher = Publisher(config, _options(config))
    async with open_island() as island:

        async def write(batch: Batch) -> None:
            await island.run(publisher.write, batch)

        try:
            yield write
        finally:
            with trio.CancelScope(shield=True):  # it takes a second at most
                await island.run(publisher.close)


def _options(config: Config) -> dict[str, Any]:
    """Return what a connection is made with: files are read here, before anything is dialled."""
    options: dict[str, Any] = {}
    if config.tls_ca:
        options["tls"] = client_context(config.tls_ca, config.tls_cert, config.tls_key)
    if config.credentials_file:
        options["user_credentials"] = str(check_private(config.credentials_file))
    if config.token_file:
        options["token"] = read_secret(config.token_file)
    if config.password_file:
        options |= {"user": config.user, "password": read_secret(config.password_file)}
    scheme = "tls" if config.tls_ca else "nats"
    return options | {"servers": [f"{scheme}://{address}" for address in config.servers]}


kind = NozzleKind(Config, open_nozzle, "exactly-once")
