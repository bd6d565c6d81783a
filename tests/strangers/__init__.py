"""Clients that this project did not write, against the local gateway.

Run `python -m tests.strangers`: each client has an environment of its own, made by the first run.
"""
