"""Say in a few words why a connection failed: libraries wrap the reason in errors that say less."""

from __future__ import annotations

import os
import ssl


def reason(error: BaseException) -> str:
    """Return what is at the bottom of an error; several attempts to connect fail for about the same reason."""
    if isinstance(error, BaseExceptionGroup):
        return reason(error.exceptions[0])
    below = error.__cause__ or (error.__context__ if error.__suppress_context__ else None)  # httpcore: `from None`
    if below is not None:
        return reason(below)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate: {error.verify_message}"
    if isinstance(error, ConnectionError) and error.errno:
        return os.strerror(error.errno)
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
