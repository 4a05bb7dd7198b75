"""`python3 -I -m cellhouse_files` is a helper that replaces one that has died. It begins as root, like fork servers."""

from cellhouse_agent.privileges import AGENT_UID, become_user
from cellhouse_files.helper import run_helper

if __name__ == "__main__":
    become_user(AGENT_UID)
    run_helper()
