"""The REST interface of a log cache, with access control in front (loggregator.md 4.3, 4.5)."""
