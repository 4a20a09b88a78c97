"""The books of all processes: fetched, put side by side, and judged."""
