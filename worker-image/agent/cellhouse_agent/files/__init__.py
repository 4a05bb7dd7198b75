"""The agent's half of files: HTTP on one side, the helper process (cellhouse_files) on the other."""
