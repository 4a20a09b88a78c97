"""`standpipe version`: which versions of what are at work."""

from __future__ import annotations

import platform
import sys
from importlib import metadata

from envelope import kernel
from standpipe.options import Json
from standpipe.printing import print_json

LIBRARIES = ("grpcio", "protobuf", "trio", "uvloop", "websockets", "cryptography")
"""Those whose version decides about wire, speed or safety."""

_KERNELS = {
    "compiled": "compiled",
    "reference": "reference: correct, but slow; install with a C compiler for the fast one",
}


def version(as_json: Json = False) -> None:
    """Print the versions of Standpipe, Python and the libraries that matter, and which kernel is active.

    The kernel is the code that every envelope goes through: compiled, or its plain Python reference.

        standpipe version
        standpipe version --json | jq -r .kernel
    """
    found = versions()
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        sys.stdout.write(f"{name:13} {_KERNELS.get(value, value) if name == 'kernel' else value}\n")


def versions() -> dict[str, str]:
    """Return name → version, and `kernel` → which one is active."""
    return {
        "standpipe": version_of("standpipe"),
        "kernel": kernel.ACTIVE,
        "python": platform.python_version(),
        **{name: version_of(name) for name in LIBRARIES},
    }


def version_of(distribution: str) -> str:
    """Return the version of an installed distribution."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"
