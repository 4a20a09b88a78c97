"""The supervisor: starts every component as a process, keeps it running, and stops all of them in order."""
