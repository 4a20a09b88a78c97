"""The tests mirror the code: every module with logic has its test file, and every test file its module."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("envelope", "plumbing", "metron", "doppler", "traffic_controller", "standpipe")
# What only wires and waits is tested on real sockets, in tests/integration and tests/end_to_end.
EDGES = {
    "config.py",
    "errors.py",
    "kinds.py",
    "metrics.py",
    "service.py",
    "__init__.py",
    "__main__.py",
}
TESTED_ELSEWHERE: dict[str, str] = {}


def modules() -> set[Path]:
    """Every module of ours that is expected to have a test file of its own, relative to the root."""
    found = {path.relative_to(ROOT) for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    return {path for path in found if "pb" not in path.parts}


def test_every_test_file_mirrors_a_module() -> None:
    mirrored = {Path(*path.parts[:-1], f"test_{path.name}") for path in modules()}
    mirrored |= {path.parent / f"test_{path.stem}.py" for path in (Path("envelope/_compiled.py"),)}
    tests = {path.relative_to(ROOT / "tests" / "unit") for path in (ROOT / "tests" / "unit").rglob("test_*.py")}

    print(sorted(str(path) for path in tests - mirrored))
    print(
        sorted(str(p) for p in modules() if p.name not in EDGES and Path(*p.parts[:-1], f"test_{p.name}") not in tests)
    )
