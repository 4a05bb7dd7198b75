"""`python3 -m tests.in_worker NAME...` runs tests as the agent's user, in a worker container that has no agent."""

import os
import sys
import unittest

from cellhouse_agent.privileges import become_agent

if __name__ == "__main__":
    become_agent(os.environ)
    # The module is None, so each NAME on the command line is the full name of a test.
    unittest.main(None, argv=sys.argv, verbosity=2)
