"""Files beside the one that grows, as a test makes and finds them."""

from pathlib import Path


def names(directory: Path) -> list[str]:
    """List what is there."""
    return sorted(each.name for each in directory.iterdir())


def finish(path: Path, number: int, content: bytes = b"x\n", suffix: str = "") -> Path:
    """Make a finished file."""
    finished = path.with_name(f"{path.name}.{number:010}{suffix}")
    finished.write_bytes(content)
    return finished
