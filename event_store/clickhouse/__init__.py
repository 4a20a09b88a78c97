"""Events on ClickHouse, when one machine is not enough: the same columns, shipped there from a store's segments."""

from event_store.clickhouse.client import ClickHouseRefused, ClickHouseUnavailable
from event_store.clickhouse.config import ClickHouseSettings
from event_store.clickhouse.progress import Progress, ProgressDamaged, ShipperBusy
from event_store.clickhouse.service import open_shipper, open_shipper_of
from event_store.clickhouse.shipper import TROUBLES, Shipper

__all__ = ["TROUBLES", "ClickHouseRefused", "ClickHouseSettings", "ClickHouseUnavailable", "Progress"]
__all__ += ["ProgressDamaged", "Shipper", "ShipperBusy", "open_shipper", "open_shipper_of"]
