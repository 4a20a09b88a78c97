"""Wire a shipper together: a store's segments in, a ClickHouse table out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from event_store.clickhouse.client import open_clickhouse
from event_store.clickhouse.config import ClickHouseSettings
from event_store.clickhouse.progress import ShipperBusy
from event_store.clickhouse.shipper import Shipper, progress_file
from event_store.clickhouse.table import ClickHouseTable
from event_store.sealed import Sealed
from event_store.storage import Store
from plumbing.config import ConfigError
from plumbing.tls import TlsError


@asynccontextmanager
async def open_shipper(folder: Path, sealed: Sealed, settings: ClickHouseSettings) -> AsyncIterator[Shipper]:
    """Give the shipper of the store in `folder` for the time of the block; nothing is dialled yet.

    ConfigError for a bad password file, TlsError for a bad certificate, ShipperBusy if another process ships it there.
    """
    file = progress_file(folder, settings)
    with file.held():
        async with open_clickhouse(settings) as clickhouse:
            yield Shipper(sealed, ClickHouseTable(clickhouse, settings), file, settings)


@asynccontextmanager
async def open_shipper_of(store: Store, settings: ClickHouseSettings) -> AsyncIterator[Shipper | None]:
    """Give the shipper of a store that is open for writing, None if the settings name no ClickHouse.

    Whatever stands in its way is a ConfigError; that ClickHouse does not answer is not.
    """
    async with AsyncExitStack() as stack:
        shipper = None
        if settings.url:
            sealed = Sealed(store.folder, store.snapshot, store.checks.suspects)
            opened = open_shipper(store.folder, sealed, settings)
            try:
                shipper = await stack.enter_async_context(opened)
            except (ShipperBusy, TlsError, OSError) as error:
                raise ConfigError(f"clickhouse: {error}") from error
        yield shipper
