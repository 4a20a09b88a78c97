"""Every kind of nozzle keeps the contract: `nozzle_contract` says how to add one."""

from __future__ import annotations

import base64
import errno
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from unittest import mock

import orjson
import pytest

from nozzles import file, json_lines
from nozzles.found import kinds, load_kind
from nozzles.sdk import NozzleKind
from tests.contracts import benches_brokers, benches_http, benches_metrics
from tests.contracts import nozzle_contract as contract
from tests.contracts.nozzle_contract import Bench, Item


def items_of(lines: bytes) -> list[Item]:
    """Read lines of JSON; whatever does not end in a newline fails."""
    assert lines == b"" or lines.endswith(b"\n")
    envelopes = [orjson.loads(line) for line in lines.splitlines()]
    return contract.items(
        envelopes, lambda each: each["source_id"], lambda each: base64.b64decode(each["log"]["payload"])
    )


class FileBench(Bench):
    """A directory for a sink: when it is away, it has another name; when it refuses, the disk is full."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self._home.mkdir()
        yield

    @property
    def _home(self) -> Path:
        return self.directory / "home"

    @asynccontextmanager
    async def stopped(self) -> AsyncIterator[None]:
        away = self._home.rename(self.directory / "away")
        yield
        away.rename(self._home)

    @asynccontextmanager
    async def refusing(self) -> AsyncIterator[None]:
        def half(handle: int, text: bytes) -> None:
            os.write(handle, text[: len(text) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")

        with mock.patch.object(json_lines, "_write_all", half):
            yield

    @asynccontextmanager
    async def slow(self) -> AsyncIterator[None]:
        def in_pieces(handle: int, text: bytes) -> None:
            for start in range(0, len(text), 50):
                time.sleep(0.0001)
                os.write(handle, text[start : start + 50])

        with mock.patch.object(json_lines, "_write_all", in_pieces):
            yield


class JsonLinesBench(FileBench):
    kind = json_lines.kind

    @property
    def settings(self) -> json_lines.Config:
        return json_lines.Config(path=self._home / "lines")

    async def received(self) -> list[Item]:
        path = self._home / "lines"
        return items_of(path.read_bytes()) if path.exists() else []


class RotatingFileBench(FileBench):
    """So small that nearly every batch finishes a file."""

    kind = file.kind

    @property
    def settings(self) -> file.Config:
        return file.Config(path=self._home / "lines", rotate_bytes=2000)

    async def received(self) -> list[Item]:
        finished = file.FinishedFiles(self.settings).all()
        current = self._home / "lines"
        paths = [each.path for each in finished] + [path for path in (current,) if path.exists()]
        return [item for path in paths for item in items_of(path.read_bytes())]


BENCHES: tuple[type[Bench], ...] = (
    JsonLinesBench,
    RotatingFileBench,
    *benches_http.BENCHES,
    *benches_metrics.BENCHES,
    *benches_brokers.BENCHES,
)
"""The kinds under the contract."""


def names_of(bench: type[Bench]) -> str:
    return bench.__name__.removesuffix("Bench")


every_kind = pytest.mark.parametrize("bench", BENCHES, ids=names_of)


def those_that_can(what: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("bench", [each for each in BENCHES if each.can(what)], ids=names_of)


@pytest.mark.parametrize(
    "kind", [kind for kind in map(load_kind, kinds()) if kind.open.__module__.startswith("nozzles.")]
)
def test_says_where_a_user_reads_it_how_often_it_delivers(kind: NozzleKind) -> None:
    said = " ".join((sys.modules[kind.open.__module__.removesuffix(".service")].__doc__ or "").split())

    assert kind.delivery.replace("-", " ").capitalize() in said


@every_kind
async def test_delivers_everything_in_order(bench: type[Bench], tmp_path: Path) -> None:
    await contract.delivers_everything_in_order(bench(tmp_path))


@every_kind
async def test_goes_on_after_a_restart_of_the_nozzle(bench: type[Bench], tmp_path: Path) -> None:
    await contract.goes_on_after_a_restart_of_the_nozzle(bench(tmp_path))


@every_kind
async def test_may_write_the_same_batch_again(bench: type[Bench], tmp_path: Path) -> None:
    await contract.may_write_the_same_batch_again(bench(tmp_path))


@every_kind
async def test_leaves_cleanly_when_cancelled(bench: type[Bench], tmp_path: Path) -> None:
    await contract.leaves_cleanly_when_cancelled(bench(tmp_path))


@every_kind
async def test_survives_hostile_envelopes(bench: type[Bench], tmp_path: Path) -> None:
    await contract.survives_hostile_envelopes(bench(tmp_path))


@those_that_can("formless")
async def test_skips_what_has_no_form(bench: type[Bench], tmp_path: Path) -> None:
    await contract.skips_what_has_no_form(bench(tmp_path))


@those_that_can("refusing")
async def test_loses_nothing_to_a_sink_that_refuses(bench: type[Bench], tmp_path: Path) -> None:
    await contract.suffers(bench(tmp_path), "refusing")


@those_that_can("denying")
async def test_loses_nothing_to_a_sink_that_does_not_let_us_in(bench: type[Bench], tmp_path: Path) -> None:
    await contract.suffers(bench(tmp_path), "denying")


@those_that_can("stopped")
async def test_loses_nothing_to_a_sink_that_goes_away_and_returns(bench: type[Bench], tmp_path: Path) -> None:
    await contract.suffers(bench(tmp_path), "stopped")


@those_that_can("slow")
async def test_loses_nothing_to_a_slow_sink(bench: type[Bench], tmp_path: Path) -> None:
    await contract.waits_for_a_slow_sink(bench(tmp_path))


@those_that_can("unheard")
async def test_loses_nothing_to_a_sink_whose_answers_are_lost(bench: type[Bench], tmp_path: Path) -> None:
    await contract.suffers(bench(tmp_path), "unheard")
