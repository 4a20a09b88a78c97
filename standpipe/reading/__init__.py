"""What the commands share that read a stream: where it is, what is shown of it, and how it ends."""
