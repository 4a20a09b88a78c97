"""What the commands share that read a stream: the WebSocket, what is shown of it, and how it ends."""
