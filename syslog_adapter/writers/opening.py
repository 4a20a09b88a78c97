"""Open the way to a drain that its URL names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from syslog_adapter.addresses import ANY_ADDRESS, Addresses
from syslog_adapter.binding import Binding
from syslog_adapter.drain_url import DrainUrl
from syslog_adapter.writers.config import WriterSettings
from syslog_adapter.writers.https import HttpsWriter, open_poster
from syslog_adapter.writers.https_batch import HttpsBatchWriter
from syslog_adapter.writers.tcp import open_tcp
from syslog_adapter.writers.trust import drain_context
from syslog_adapter.writers.writer import Form, Writer


@asynccontextmanager
async def open_writer(
    drain: DrainUrl, binding: Binding, settings: WriterSettings, addresses: Addresses = ANY_ADDRESS
) -> AsyncIterator[Writer]:
    """Open a drain: nothing is dialled before the first write, and whenever that is needed again.

    Each time it is looked up where the drain is, and that this is not forbidden.
    Raises `BadDrain` when the certificates of the binding cannot be used.
    """
    form = Form.of(drain, binding, settings)
    context = None if drain.scheme == "syslog" else drain_context(drain, binding, settings)
    if drain.scheme in ("syslog", "syslog-tls"):
        async with open_tcp(drain, form, settings, context, addresses) as tcp:
            yield tcp
        return
    async with open_poster(drain, settings, context, addresses) as poster:
        if drain.scheme == "https":
            yield HttpsWriter(poster, form, settings.https_connections)
        else:
            yield HttpsBatchWriter(poster, form, settings.batch_max_bytes)
