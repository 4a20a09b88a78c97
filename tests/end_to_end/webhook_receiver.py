"""What a webhook posts to: append each log to a file, its source and its text in a line, and answer only then.

`python -m tests.end_to_end.webhook_receiver FILE PORT`; it prints its address once it listens. A kill may leave half a
line, of which nobody heard that it was safe: the next start cuts it off, as any program does that may be killed.
"""

from __future__ import annotations

import base64
import os
import signal
import sys
import threading
from pathlib import Path

import orjson

from tests.fakes.http_receiver import HttpReceiver, Posted, Said


def main(path: str, port: str) -> None:
    """Take what is posted until killed."""
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    os.ftruncate(file, Path(path).read_bytes().rfind(b"\n") + 1)
    in_turn = threading.Lock()

    def keep(posted: Posted) -> Said:
        envelopes = orjson.loads(posted.body)
        lines = [f"{each['source_id']} {base64.b64decode(each['log']['payload']).decode()}\n" for each in envelopes]
        left = "".join(lines).encode()
        with in_turn:
            while left:
                left = left[os.write(file, left) :]
        return Said()

    print(HttpReceiver(keep, int(port)).url, flush=True)
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
