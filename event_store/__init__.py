"""The event store: everything the firehose carried, kept in columns on disk and searchable."""
