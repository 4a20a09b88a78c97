"""What `curl -N` does, for machines without it: write the body of an answer to stdout as it comes."""

import sys
from pathlib import Path

import httpx

from plumbing.tls import client_context


def main(url: str, ca: str, *headers: str) -> None:
    """Read until killed, or until the server ends the answer."""
    pairs = [tuple(header.split(": ", 1)) for header in headers]
    with httpx.stream(
        "GET", url, headers=pairs, verify=client_context(Path(ca)), trust_env=False, timeout=None
    ) as answer:
        for chunk in answer.iter_raw():
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
