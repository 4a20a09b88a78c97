"""The commands, one module each; `standpipe.cli` gives them their names."""
