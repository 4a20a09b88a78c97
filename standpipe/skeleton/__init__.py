"""What `standpipe nozzle new` writes."""
