import importlib.util
import sys
from types import ModuleType

import pytest

from envelope import kernel, reference


def fresh_kernel() -> ModuleType:
    """Load the kernel anew, beside the one that everybody else uses."""
    spec = importlib.util.find_spec("envelope.kernel")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_environment_can_ask_for_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDPIPE_KERNEL", "reference")

    chosen = fresh_kernel()

    assert chosen.ACTIVE == "reference"
    assert chosen.admit is reference.admit


def test_without_a_compiled_kernel_the_reference_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STANDPIPE_KERNEL", raising=False)
    monkeypatch.setitem(sys.modules, "envelope._compiled", None)

    chosen = fresh_kernel()

    assert chosen.ACTIVE == "reference"
    assert chosen.admit is reference.admit


def test_a_compiled_kernel_goes_before_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STANDPIPE_KERNEL", raising=False)
    compiled = ModuleType("envelope._compiled")
    for name in reference.__all__:
        setattr(compiled, name, object())
    monkeypatch.setitem(sys.modules, "envelope._compiled", compiled)

    chosen = fresh_kernel()

    assert chosen.ACTIVE == "compiled"
    assert all(getattr(chosen, name) is getattr(compiled, name) for name in reference.__all__)


def test_a_compiled_kernel_that_lacks_a_function_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STANDPIPE_KERNEL", raising=False)
    outdated = ModuleType("envelope._compiled")
    outdated.admit = object()  # type: ignore[attr-defined]  # a stand-in for a module of an older version
    monkeypatch.setitem(sys.modules, "envelope._compiled", outdated)

    chosen = fresh_kernel()

    assert chosen.ACTIVE == "reference"
    assert chosen.admit is reference.admit


def test_it_offers_all_that_the_reference_does() -> None:
    assert sorted(kernel.__all__) == sorted(["ACTIVE", *reference.__all__])
