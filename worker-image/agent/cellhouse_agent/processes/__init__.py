"""The processes of the container: the agent's own, and those that user code starts."""
