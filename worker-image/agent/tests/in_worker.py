"""`python3 -m tests.in_worker NAME...` runs tests as the agent's user, in a worker container that has no agent."""

import os
import sys
import unittest

from cellhouse_agent.privileges import become_agent

if __name__ == "__main__":
    become_agent(os.environ)
    # The module is None, so each NAME on the command line is a full name, such as tests.test_lane.
    unittest.main(None, argv=sys.argv, verbosity=2)
