"""What tests of every room share: certificates, which are slow to make."""

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import settings

from plumbing.certs import make_certs

# A busy machine is no reason to fail, and what is no change no other examples: `search` looks for new ones.
settings.register_profile("standpipe", deadline=None, derandomize=True)
settings.register_profile("quick", deadline=None, derandomize=True, max_examples=15)  # for `make check`
settings.register_profile("search", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "standpipe"))


@pytest.fixture(scope="session")
def certs_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of certificates, valid now. Tests read it; one that changes it works on a copy."""
    directory = tmp_path_factory.mktemp("installation") / "certs"
    make_certs(directory, now=datetime.now(UTC))
    return directory


@pytest.fixture(scope="session")
def other_certs_dir(certs_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same names, signed by the CA of another installation."""
    directory = tmp_path_factory.mktemp("other") / "certs"
    shutil.copytree(certs_dir, directory)
    (directory / "ca.crt").unlink()
    (directory / "ca.key").unlink()
    make_certs(directory, now=datetime.now(UTC))
    return directory
