"""What a person runs: the command line, and the supervisor that starts every component as a process."""
