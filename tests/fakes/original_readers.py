"""The original's programs that read, as a server meets them (loggregator.md 0.1, 1.9, 2.8)."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import grpc

from envelope.pb import loggregator_v2_pb2 as v2
from tests.fakes.original_program import RECEIVE_LIMIT, Program, method


class Reading(Program):
    """A program that opens streams to be read, over several connections to each server, one of them at random."""

    def __init__(
        self,
        addresses: list[str],
        certs: Path,
        server_name: str,
        path: str,
        *options: tuple[str, int],
        connections: int,
    ) -> None:
        super().__init__(certs, server_name, *options)
        self._path = path
        self._pools = [[self.dial(address) for _ in range(connections)] for address in addresses]

    def open(self, request: Any) -> list[Any]:
        """Ask every server, half-closing at once; returns the streams."""
        streams = [method(random.choice(pool), self._path, "unary_stream")(request) for pool in self._pools]
        for stream in streams:
            self.until_the_end(stream.cancel)
        return streams


def traffic_controller(addresses: list[str], certs: Path) -> Reading:
    """Read v1 envelopes: one `BatchSubscribe` for each client to every Doppler."""
    return Reading(addresses, certs, "doppler", "/plumbing.Doppler/BatchSubscribe", RECEIVE_LIMIT, connections=20)


def reverse_log_proxy(addresses: list[str], certs: Path) -> Reading:
    """Read v2 envelopes: one `BatchedReceiver` for each consumer to every router, over 20 connections."""
    path = "/loggregator.v2.Egress/BatchedReceiver"
    return Reading(addresses, certs, "doppler", path, RECEIVE_LIMIT, connections=20)


class EnvelopeStreamConnector(Program):
    """go-loggregator: reads a reverse log proxy, and opens a new stream at once when one ends in any way."""

    def __init__(self, address: str, certs: Path, request: v2.EgressBatchRequest) -> None:
        super().__init__(certs, "reverselogproxy")  # with gRPC's own limit of 4 MiB
        self._receive = method(self.dial(address), "/loggregator.v2.Egress/BatchedReceiver", "unary_stream")
        self._request = request
        self._stream: Any = None
        self.opened = 0
        self.errors: list[grpc.StatusCode] = []

    def open(self) -> None:
        """Open a stream unless there is one."""
        if self._stream is None:
            self._stream = self._receive(self._request)
            self.until_the_end(self._stream.cancel)
            self.opened += 1

    def receive(self) -> list[v2.Envelope]:
        """Give the next batch, however many streams it takes."""
        while True:
            self.open()
            try:
                return list(next(self._stream).batch)
            except StopIteration:
                self._stream = None
            except grpc.RpcError as error:
                self._stream = None
                self.errors.append(error.code())
