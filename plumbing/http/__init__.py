"""Serve HTTP to clients that show a token, or a certificate: doors, who may come in, answers and event streams.

A door of one's own is a `door.HttpDoor` that says how it responds; it is served by `server.serve_http`.
"""
