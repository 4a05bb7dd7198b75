"""`python3 -I -m cellhouse_agent` runs the agent. As little as can be is done before root is given up."""

import os
import sys

from cellhouse_agent.privileges import become_agent

if __name__ == "__main__":
    become_agent(os.environ)
    from cellhouse_agent.app import main

    sys.exit(main())
