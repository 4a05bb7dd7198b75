"""The helper process that acts on files as the user: the agent's half of it is cellhouse_agent/files."""
