"""The query language: read it, know its times and names, and turn it into SQL (docs/query-language.md)."""
