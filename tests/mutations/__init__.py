"""Single faults in the package, each seen by a test: run `python -m tests.mutations`."""
