"""The docs say what the code does: tables, commands, targets and links."""

import re
from pathlib import Path

import pytest
import typer

from docs.generate_operations import PAGES as GENERATED
from docs.generate_operations import exposed_name, metrics_by_room
from docs.marked_page import render
from nozzles.found import kinds
from standpipe.cli import app

ROOT = Path(__file__).parents[2]
SKIPPED = {"build", "node_modules"}
PAGES = sorted(
    page.relative_to(ROOT)
    for page in ROOT.rglob("*.md")
    if not any(part.startswith(".") or part in SKIPPED for part in page.relative_to(ROOT).parts)
)

_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.M | re.S)
_HEADING = re.compile(r"^#+ +(?P<title>.+)$", re.M)
_COMMAND = re.compile(r"(?:^|\$ |`|\| |&& )(?:\.venv/bin/)?standpipe (?P<words>[a-z-]+(?: [a-z]+)?)", re.M)
_TARGET = re.compile(r"(?:^|`)make (?P<target>[a-z-]+)", re.M)


def text_of(page: Path) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def anchors_of(page: Path) -> set[str]:
    """The names that headings of a page can be linked by."""
    titles = (match["title"] for match in _HEADING.finditer(_FENCE.sub("", text_of(page))))
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))


def commands() -> dict[str, set[str]]:
    """Every command, and the commands below it."""
    group = typer.main.get_command(app)
    return {name: set(getattr(command, "commands", ())) for name, command in group.commands.items()}


@pytest.mark.parametrize("name", GENERATED)
def test_the_tables_of_a_page_are_those_of_the_code(name: str) -> None:
    page = text_of(Path("docs") / name)

    assert render(page, GENERATED[name]()) == page, "run .venv/bin/python -m docs.generate_operations"


def test_the_tables_know_every_metric_and_many_settings() -> None:
    page, written = text_of(Path("docs/operations.md")), GENERATED["operations.md"]()

    for room, families in metrics_by_room().items():
        assert families, room
        assert all(f"`{exposed_name(family)}`" in page for family in families)
    assert all(table.count("\n") > 3 for table in written.values())


def test_every_kind_of_nozzle_and_every_step_has_its_settings_in_the_page() -> None:
    page = text_of(Path("docs/nozzles.md"))
    headings = set(re.findall(r"^### ([a-z_]+)$", page, re.M))

    assert set(kinds()) <= headings
    assert {"select", "drop", "rename", "add_tags", "redact", "parse_json", "sample", "aggregate_counters"} <= headings
    assert "| `dead_letter_file` |" in page
    assert "| `replacement` |" in page


def test_a_page_without_a_place_for_a_table_is_refused() -> None:
    with pytest.raises(KeyError, match="settings doppler"):
        render("# A page\n", GENERATED["operations.md"]())


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_leads_somewhere(page: Path) -> None:
    for match in _LINK.finditer(_FENCE.sub("", text_of(page))):
        path, _, anchor = match["target"].partition("#")
        if "://" in path or path.startswith("mailto:"):
            continue
        linked = (ROOT / page).parent / path if path else ROOT / page
        assert linked.exists(), match["target"]
        if anchor:
            assert anchor in anchors_of(linked.resolve().relative_to(ROOT.resolve())), match["target"]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    named = {match["target"] for match in _TARGET.finditer(text_of(page))}

    assert named <= targets()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_command_that_is_named_exists(page: Path) -> None:
    known = commands()
    for match in _COMMAND.finditer(text_of(page)):
        name, _, word = match["words"].partition(" ")
        assert name in known, match["words"]
        assert not known[name] or not word or word in known[name], match["words"]


def test_the_readme_shows_every_command_and_the_contributors_page_every_target() -> None:
    readme, contributing = text_of(Path("README.md")), text_of(Path("CONTRIBUTING.md"))
    listed = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)

    assert [name for name in commands() if f"`standpipe {name}" not in readme] == []
    assert [target for target in listed if f"`make {target}`" not in contributing] == []


def test_every_decision_is_in_the_index() -> None:
    index = text_of(Path("docs/decisions/README.md"))

    assert [page.name for page in PAGES if page.match("decisions/0*.md") and f"({page.name})" not in index] == []
