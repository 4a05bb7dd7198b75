import { asRoot } from '../../testkit/asRoot.ts';

/** Fork servers run as the agent's user, so only root finds and kills them. */
const LOOK = `
import os, signal, sys
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        command = open(f"/proc/{pid}/cmdline").read()
        is_agents = "Uid:\\t64001" in open(f"/proc/{pid}/status").read()
    except OSError:
        continue
    if "fork_server" in command and is_agents:
        print(pid)
        if sys.argv[1] == "kill":
            os.kill(int(pid), signal.SIGKILL)
`;

/** The ids of a worker's fork servers. @param what `kill`: kills them, too */
export async function forkServers(containerId: string, what: 'list' | 'kill'): Promise<string[]> {
  const printed = await asRoot(containerId, ['/usr/bin/python3', '-I', '-c', LOOK, what]);
  return printed.split(/\s+/).filter(Boolean);
}
