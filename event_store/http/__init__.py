"""The HTTP interface of the event store: its API, live tail and web page."""
