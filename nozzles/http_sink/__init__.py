"""What the nozzles that speak HTTP share: one way to post a body, and one to send a batch in bodies of bounded size."""

from nozzles.http_sink.delivery import Item, Outcome, Send, deliver, envelopes, grouped
from nozzles.http_sink.settings import AUTHORIZATION, HttpSettings, HttpUrl, SecretHeader
from nozzles.http_sink.sink import HttpRefused, HttpSink, open_http

__all__ = [
    "AUTHORIZATION",
    "HttpRefused",
    "HttpSettings",
    "HttpSink",
    "HttpUrl",
    "Item",
    "Outcome",
    "SecretHeader",
    "Send",
]
__all__ += ["deliver", "envelopes", "grouped", "open_http"]
