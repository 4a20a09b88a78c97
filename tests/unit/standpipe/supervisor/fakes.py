"""Components that are a few lines of Python, as real processes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

from standpipe.supervisor.plan import Component
from standpipe.supervisor.rooms import DOPPLER, Room

READY = """
import json, os, signal, sys
ready, parent, listen = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
def on_term(*_):
    print("draining", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, on_term)
line = json.dumps({"name": "fake", "pid": os.getpid(), "endpoints": {"listen": listen}})
os.write(ready, line.encode() + b"\\n")
os.close(ready)
"""
"""The beginning of a component that accepts work at once, where it was told to listen."""

DRAIN_WHEN_ASKED = READY + "signal.pause()\n"
DIE_AT_ONCE = READY + "print('alive at', listen, flush=True)\nsys.exit(3)\n"
NEVER_DRAIN = (
    READY + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf', flush=True)\nwhile True: signal.pause()\n"
)
END_WITH_PARENT = READY + "os.read(parent, 1)\nprint('orphaned', flush=True)\n"
REFUSE = "import sys\nprint('fake: flag --listen: nowhere', file=sys.stderr)\nsys.exit(2)\n"
NEVER_READY = "import signal\nprint('thinking', flush=True)\nsignal.pause()\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeComponent(Component):
    """Runs `program` with the ready and the parent descriptor and its address as arguments."""

    program: str

    def command(self, python: str, endpoints: Mapping[str, str], descriptors: Mapping[str, int]) -> list[str]:
        listen = endpoints.get("listen", self.listen)
        numbers = (str(descriptors["ready"]), str(descriptors["parent"]))
        return [python or sys.executable, "-I", "-S", "-c", self.program, *numbers, listen]


def fake(program: str, *, name: str = "fake-0", room: Room = DOPPLER) -> FakeComponent:
    return FakeComponent(
        name=name, room=room, listen="127.0.0.1:4711", admin_listen="127.0.0.1:0", flags=(), program=program
    )
