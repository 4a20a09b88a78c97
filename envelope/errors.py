"""What can be wrong with bytes that came from outside."""


class DecodeError(ValueError):
    """The bytes are not what they should be: count them, skip them, keep the connection."""
