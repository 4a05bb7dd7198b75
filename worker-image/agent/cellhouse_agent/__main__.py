"""`python3 -I -m cellhouse_agent` runs the agent.

It gives up root before it imports the rest. It forks the file helper and the command spawner while it still has no
secret, thread or descriptor that they must not have.
"""

import os
import sys

from cellhouse_agent.privileges import become_agent
from cellhouse_commands.spawner import fork_spawner
from cellhouse_files.helper import fork_helper

if __name__ == "__main__":
    become_agent(os.environ)
    helper, spawner = fork_helper(), fork_spawner()
    from cellhouse_agent.app import EarlyForks, main

    sys.exit(main(EarlyForks(helper, spawner)))
