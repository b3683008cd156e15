"""The command line, a file for a command or two."""
