"""Scrape Prometheus targets of this machine, and send their samples as gauges and counters."""

from metron.sources.prometheus.config import Prometheus, ScrapeTarget
from metron.sources.prometheus.scraper import scrape_prometheus

__all__ = ["Prometheus", "ScrapeTarget", "scrape_prometheus"]
