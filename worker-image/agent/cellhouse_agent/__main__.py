"""`python3 -I -m cellhouse_agent` runs the agent.

It gives up root before it imports the rest. Before it knows anything, it forks the helper that acts on files, and the
spawner that makes commands.
"""

import os
import sys

from cellhouse_agent.privileges import become_agent
from cellhouse_commands.start import fork_spawner
from cellhouse_files.start import fork_helper

if __name__ == "__main__":
    become_agent(os.environ)
    helper, spawner = fork_helper(), fork_spawner()
    from cellhouse_agent.app import Beside, main

    sys.exit(main(Beside(helper, spawner)))
