"""What may be done to an envelope and to a batch of them: pure functions on bytes, no I/O and no clock."""
