/**
 * A network namespace with hosts. The machine reaches them like hosts on the internet or in a private network, but no
 * packet leaves the machine. Needs root.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const PROGRAM = new URL('../test/support/namespaceHost.mjs', import.meta.url).pathname;
let made = 0;

export interface NamespaceHost {
  readonly name: string;
  /** A single address. The machine gets a route to it. */
  readonly address: string;
  readonly port: number;
}

export interface Namespace {
  /** How many connections a host has received. */
  connectionsTo(name: string): number;
  close(): Promise<void>;
}

/**
 * @param ownAddresses the machine's own addresses on the link: one of IPv4, and one of IPv6
 * @throws Error if the process is not root, or the machine has no `ip` command
 */
export async function openNamespace(
  hosts: readonly NamespaceHost[],
  ownAddresses: readonly [four: string, six: string],
): Promise<Namespace> {
  made += 1;
  const id = `${process.pid.toString(36)}${made}`;
  const [name, outer, inner] = [`ch-${id}`, `cho${id}`, `chi${id}`];
  const ip = (...words: string[]) => execFileSync('ip', words, { stdio: 'pipe' });
  const inside = (...words: string[]) => ip('-n', name, ...words);
  const forget = () => {
    // The link is deleted first, because it goes at once, with its routes. A deleted namespace stays for some time.
    ip('link', 'del', outer);
    ip('netns', 'del', name);
  };
  ip('netns', 'add', name);
  ip('link', 'add', outer, 'type', 'veth', 'peer', 'name', inner, 'netns', name);
  try {
    for (const own of ownAddresses) ip('addr', 'add', ...single(own), 'dev', outer);
    ip('link', 'set', outer, 'up');
    inside('link', 'set', 'lo', 'up');
    inside('link', 'set', inner, 'up');
    for (const address of new Set(hosts.map((host) => host.address))) {
      inside('addr', 'add', ...single(address), 'dev', inner);
      ip('route', 'add', address, 'dev', outer);
    }
    for (const own of ownAddresses) inside('route', 'add', own, 'dev', inner);
  } catch (error: unknown) {
    forget();
    throw error;
  }
  const child = spawn(
    'ip',
    ['netns', 'exec', name, process.execPath, PROGRAM, JSON.stringify(hosts)],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout });
  const exited = once(child, 'exit');
  const listening = new Promise<void>((resolve, reject) => {
    reader.on('line', (line) => {
      lines.push(line);
      if (line === 'listening') resolve();
    });
    void exited.then(() => reject(new Error('The hosts in the namespace have ended.')));
  });
  const close = async () => {
    child.kill('SIGKILL');
    await exited;
    forget();
  };
  try {
    await listening;
  } catch (error: unknown) {
    await close();
    throw error;
  }
  return {
    connectionsTo: (host) => lines.filter((line) => line === host).length,
    close,
  };
}

/**
 * The arguments of `ip addr add` for a single address, without a subnet. An IPv6 address is usable at once: it skips
 * duplicate address detection, because nobody else on the link has it.
 */
function single(address: string): readonly string[] {
  return address.includes(':') ? [`${address}/128`, 'nodad'] : [`${address}/32`];
}
