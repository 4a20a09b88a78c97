"""Events as a Delta table, on disk or on object storage, for other engines to read."""

from event_store.delta.export import DeltaFailed, DeltaMissing, Exported, export

__all__ = ["DeltaFailed", "DeltaMissing", "Exported", "export"]
