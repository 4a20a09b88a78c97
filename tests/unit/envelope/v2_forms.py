"""Short words for the rows of the tables from v1 to v2."""

from typing import Any

from envelope.pb import dropsonde_pb2 as v1

LOW, HIGH = 0x7243CC580BC17AF4, 0x79D4C3B2020E67A5
NIL = "00000000-0000-0000-0000-000000000000"

HTTP_TAGS = {
    "request_id": NIL,
    "peer_type": "Client",
    "method": "GET",
    "uri": "",
    "remote_address": "",
    "user_agent": "",
    "status_code": "0",
    "content_length": "0",
    "routing_instance_id": "",
    "forwarded": "",
}


def common_tags(v1_type: str, **others: str) -> dict[str, str]:
    """Return the tags of an envelope of this type that had nothing to say, and `others`."""
    return {"origin": "", "deployment": "", "job": "", "index": "", "ip": "", "__v1_type": v1_type, **others}


def of_type(name: str, **fields: Any) -> v1.Envelope:
    """Make a v1 envelope; what is optional may be unset."""
    return v1.Envelope(origin="", eventType=name, **fields)
