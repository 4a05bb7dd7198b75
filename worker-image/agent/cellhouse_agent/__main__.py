"""`python3 -I -m cellhouse_agent` runs the agent. It gives up root before it imports the rest."""

import os
import sys

from cellhouse_agent.privileges import become_agent

if __name__ == "__main__":
    become_agent(os.environ)
    from cellhouse_agent.app import main

    sys.exit(main())
