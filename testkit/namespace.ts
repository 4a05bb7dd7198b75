/**
 * A network namespace with hosts, which the machine reaches like hosts of the internet or of a private network, although
 * nothing leaves the machine. Needs root.
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
  /** How many connections a host has got. */
  connectionsTo(name: string): number;
  close(): Promise<void>;
}

/**
 * @param ownAddresses that the machine gets on the link, of IPv4 and IPv6
 * @throws Error if it is not root, or has no `ip`
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
    // A namespace ends some time after its end is asked for, but a link ends at once, with its routes.
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

/** An address without a network. One of IPv6 is used at once: nobody else on the link has it. */
function single(address: string): readonly string[] {
  return address.includes(':') ? [`${address}/128`, 'nodad'] : [`${address}/32`];
}
