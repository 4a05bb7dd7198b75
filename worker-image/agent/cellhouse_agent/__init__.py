"""The agent of a worker: supervises one kernel and speaks docs/worker-protocol.md on a Unix socket."""
