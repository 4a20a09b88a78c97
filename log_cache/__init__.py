"""A log cache: holds the last minutes of every source in memory and answers reads, metadata and PromQL."""
