import os
from pathlib import Path

import pytest

from event_store.storage.errors import StoreBusy
from event_store.storage.lock import lock_folder


def test_one_process_at_a_time_writes_to_a_folder(tmp_path: Path) -> None:
    handle = lock_folder(tmp_path)
    with pytest.raises(StoreBusy, match=f"another process writes to the store in {tmp_path}"):
        lock_folder(tmp_path)
    os.close(handle)
    os.close(lock_folder(tmp_path))
