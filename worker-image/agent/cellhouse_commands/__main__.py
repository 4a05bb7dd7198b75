"""`python3 -I -m cellhouse_commands` is a spawner that replaces one that has died. It begins as root."""

from cellhouse_agent.privileges import AGENT_UID, become_user
from cellhouse_commands.spawner import run_spawner

if __name__ == "__main__":
    become_user(AGENT_UID)
    run_spawner()
