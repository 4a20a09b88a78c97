"""Metrics are read when scraped, and only then."""

import os

import pytest
from prometheus_client import generate_latest

from plumbing.metrics import Metrics


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(kernel="reference")


def scrape(metrics: Metrics) -> list[str]:
    return generate_latest(metrics.registry).decode().splitlines()


def test_a_counter_is_read_at_every_scrape(metrics):
    seen = [1]
    metrics.counter("seen_total", "Seen.", lambda: seen[0])
    assert "seen_total 1.0" in scrape(metrics)
    seen[0] = 2
    assert "seen_total 2.0" in scrape(metrics)


def test_a_metric_has_its_help_and_its_type(metrics):
    metrics.counter("seen_total", "Envelopes seen.", lambda: 1)
    metrics.gauge("held", "Envelopes held.", lambda: 1)
    lines = scrape(metrics)
    assert {"# HELP seen_total Envelopes seen.", "# TYPE seen_total counter", "# TYPE held gauge"} <= set(lines)


def test_nothing_is_read_before_the_first_scrape(metrics):
    reads = []
    metrics.gauge("held", "Held.", lambda: reads.append(1) or 0)
    assert reads == []
    scrape(metrics)
    assert reads == [1]


def test_a_mapping_gives_a_value_for_each_label(metrics):
    dropped = {("slow",): 1, ("gone",): 2}
    metrics.counter("dropped_total", "Dropped.", lambda: dropped, labels=("reason",))
    dropped["new",] = 3
    lines = scrape(metrics)
    assert [line for line in lines if line.startswith("dropped_total{")] == [
        'dropped_total{reason="slow"} 1.0',
        'dropped_total{reason="gone"} 2.0',
        'dropped_total{reason="new"} 3.0',
    ]


def test_several_labels_are_told_apart(metrics):
    metrics.gauge("open", "Open.", lambda: {("v2", "up"): 1}, labels=("wire", "state"))
    assert 'open{state="up",wire="v2"} 1.0' in scrape(metrics)


def test_a_mapping_may_be_empty(metrics):
    metrics.counter("dropped_total", "Dropped.", dict, labels=("reason",))
    assert "# TYPE dropped_total counter" in scrape(metrics)


@pytest.mark.parametrize("reading", [1, {("a", "b"): 1}, {(): 1}])
def test_a_reading_that_does_not_fit_its_labels_is_an_error(metrics, reading):
    metrics.gauge("open", "Open.", lambda: reading, labels=("wire",))
    with pytest.raises(ValueError, match="open has labels"):
        scrape(metrics)


def test_a_name_is_taken_once(metrics):
    metrics.gauge("held", "Held.", lambda: 1)
    with pytest.raises(ValueError, match="held"):
        metrics.gauge("held", "Held again.", lambda: 2)


def test_a_counters_name_ends_in_total(metrics):
    with pytest.raises(ValueError, match="ends in _total: seen"):
        metrics.counter("seen", "Seen.", lambda: 1)


def test_the_kernel_that_runs_is_shown(metrics):
    assert 'standpipe_kernel_active{kernel="reference"} 1.0' in scrape(metrics)


def test_the_kernel_is_asked_unless_it_is_given():
    from envelope import kernel

    assert f'standpipe_kernel_active{{kernel="{kernel.ACTIVE}"}} 1.0' in scrape(Metrics())


def test_the_process_itself_is_measured(metrics):
    lines = scrape(metrics)
    for name in ("process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"):
        assert any(line.startswith(f"{name} ") for line in lines)


def test_two_processes_worth_of_metrics_do_not_meet():
    first, second = Metrics(kernel="reference"), Metrics(kernel="compiled")
    first.gauge("held", "Held.", lambda: 1)
    second.gauge("held", "Held.", lambda: os.getpid())
    assert "held 1.0" in scrape(first)
