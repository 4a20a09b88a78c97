"""The SSE gateway: `GET /v2/read` over HTTPS, for those who show a token instead of a certificate."""

from reverse_log_proxy.gateway.service import Gateway

__all__ = ["Gateway"]
