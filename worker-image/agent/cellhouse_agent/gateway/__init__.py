"""The parts of the agent that gateways reach: the socket, its requests, and the frames that they get."""
