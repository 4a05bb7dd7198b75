"""The agent of a worker: runs kernels and commands, and speaks docs/internals/worker-protocol.md on a Unix socket."""
