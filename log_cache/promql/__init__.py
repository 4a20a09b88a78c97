"""PromQL over samples in memory: parse a query, say which samples it needs, evaluate it. No I/O, no clock."""
