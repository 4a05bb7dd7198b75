"""`python3 -I -m cellhouse_agent` runs the agent."""

import sys

from cellhouse_agent.app import main

if __name__ == "__main__":
    sys.exit(main())
