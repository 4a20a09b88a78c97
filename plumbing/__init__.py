"""Shared I/O: the gRPC, WebSocket and HTTP edges, TLS, tokens, settings, metrics and lifecycle of every component."""
