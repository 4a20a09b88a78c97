"""Kill components of a running system, and read what its ledger says of that."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Any

from tests.end_to_end.systems import RunningUp, eventually, run_command


def kill(system: RunningUp, component: str) -> None:
    """Kill a component whose book has been kept, and wait until that is noticed."""
    born, pid = system.get(component, "/ledger")["started_at"], system.pid(component)
    assert eventually(lambda: time.time() - born > 3)  # the supervisor has asked it for its book by then
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: f"child={component} how='was killed by SIGKILL'" in system.output)


def balanced_ledger(system: RunningUp) -> Any:
    """What `standpipe ledger` says; it must say that the books balance."""
    ledger = run_command(system.data_dir, "ledger", "--json")
    assert ledger.returncode == 0, ledger.stdout
    return json.loads(ledger.stdout)


def account_of(said: Any, component: str, name: str, *, gone: bool = False) -> dict[str, Any]:
    """Return an account out of what the ledger says: of one that lives or of one that died."""
    book = next(book for book in said["books"] if (book["component"], book["gone"]) == (component, gone))
    found: dict[str, Any] = next(account for account in book["accounts"] if account["account"] == name)
    return found
