"""The agent of a worker: supervises one kernel and speaks docs/internals/worker-protocol.md on a Unix socket."""
