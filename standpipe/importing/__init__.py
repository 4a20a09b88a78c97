"""Files of log lines, and of envelopes, on their way into an event store that does not run."""
