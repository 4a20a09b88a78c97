"""A collector of OTLP: a real gRPC server with the services of the specification, that may be told to misbehave."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # generated for an older gRPC
    from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc as logs_grpc
    from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_grpc
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as trace_grpc


class OtlpCollector:
    """Keeps what it is sent; `failures` are what the next requests are answered, `rejects` how many records go."""

    def __init__(self) -> None:
        self.logs: list[Any] = []
        self.metrics: list[Any] = []
        self.spans: list[Any] = []
        self.requests = 0
        self.rejects = 0
        self.failures: list[tuple[grpc.StatusCode, bytes]] = []

    def take_logs(self, request: Any, context: grpc.ServicerContext | None = None) -> Any:
        self._fail_if_told(context)
        self.logs += [
            record for one in request.resource_logs for scope in one.scope_logs for record in scope.log_records
        ]
        return ExportLogsServiceResponse(partial_success={"rejected_log_records": self.rejects})

    def take_metrics(self, request: Any, context: grpc.ServicerContext | None = None) -> Any:
        self._fail_if_told(context)
        self.metrics += [
            metric for one in request.resource_metrics for scope in one.scope_metrics for metric in scope.metrics
        ]
        return ExportMetricsServiceResponse(partial_success={"rejected_data_points": self.rejects})

    def take_spans(self, request: Any, context: grpc.ServicerContext | None = None) -> Any:
        self._fail_if_told(context)
        self.spans += [span for one in request.resource_spans for scope in one.scope_spans for span in scope.spans]
        return ExportTraceServiceResponse(partial_success={"rejected_spans": self.rejects})

    @contextmanager
    def serving(self, credentials: grpc.ServerCredentials | None = None) -> Iterator[str]:
        """Serve for the time of the block; yields the address."""
        with ThreadPoolExecutor(2) as threads:
            server = grpc.server(threads)
            for module, name, take in (
                (logs_grpc, "LogsService", self.take_logs),
                (metrics_grpc, "MetricsService", self.take_metrics),
                (trace_grpc, "TraceService", self.take_spans),
            ):
                servicer = type(name, (getattr(module, f"{name}Servicer"),), {"Export": staticmethod(take)})()
                getattr(module, f"add_{name}Servicer_to_server")(servicer, server)
            if credentials is None:
                port = server.add_insecure_port("127.0.0.1:0")
            else:
                port = server.add_secure_port("127.0.0.1:0", credentials)
            server.start()
            try:
                yield f"127.0.0.1:{port}"
            finally:
                server.stop(0).wait()

    def _fail_if_told(self, context: grpc.ServicerContext | None) -> None:
        self.requests += 1
        if context is not None and self.failures:
            code, details = self.failures.pop(0)
            if details:
                context.set_trailing_metadata((("grpc-status-details-bin", details),))
            context.abort(code, "not now")
