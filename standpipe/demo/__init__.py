"""What the demo shows of this machine, and what it checks of it."""
