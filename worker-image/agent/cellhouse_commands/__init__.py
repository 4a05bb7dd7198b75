"""The spawner of commands: a process beside the agent that makes each command, below a reaper of its own."""
