"""The command line of `nmt`: one file per command."""
