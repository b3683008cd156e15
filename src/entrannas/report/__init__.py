"""Pages: of a run, as it goes on and when it has ended, of a benchmark, of all runs, and of some that are compared."""
