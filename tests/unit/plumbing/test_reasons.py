import errno
import socket
import ssl

import pytest

from plumbing.reasons import reason


def _caused_by(cause: BaseException) -> Exception:
    error = OSError("all attempts to connect failed")
    error.__cause__ = cause
    return error


def _mistrust() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "certificate has expired"
    return error


def _hiding(context: BaseException) -> Exception:
    error = OSError("all attempts to connect failed")
    error.__context__ = context
    error.__suppress_context__ = True
    return error


def _after(context: BaseException) -> Exception:
    error = OSError("words of its own")
    error.__context__ = context
    return error


REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "Error connecting to ('::1', 1): Connection refused")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (REFUSED, "Connection refused"),
        (_caused_by(REFUSED), "Connection refused"),
        (_caused_by(ExceptionGroup("two attempts", [REFUSED, OSError("other")])), "Connection refused"),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (_caused_by(_mistrust()), "its certificate: certificate has expired"),
        (_hiding(REFUSED), "Connection refused"),
        (_after(REFUSED), "words of its own"),
        (ValueError("not a book"), "not a book"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_the_reason_is_what_is_at_the_bottom(error: BaseException, words: str) -> None:
    assert reason(error) == words
