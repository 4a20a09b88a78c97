"""`standpipe demo` from outside: this machine's own envelopes, all the way through real processes."""

import subprocess

from tests.end_to_end.systems import PATIENCE_S, STANDPIPE


def test_this_machines_envelopes_come_through_and_the_books_balance() -> None:
    ended = subprocess.run(
        [*STANDPIPE, "demo", "--seconds", "4"], capture_output=True, text=True, timeout=2 * PATIENCE_S, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "line 1 of the demo itself" in ended.stdout
    assert "The books balance" in ended.stdout
