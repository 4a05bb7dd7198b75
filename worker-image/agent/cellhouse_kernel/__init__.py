"""The kernel of a worker: ipykernel with Cellhouse's start, streams and safety."""
