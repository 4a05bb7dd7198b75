import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** `st` of a listening socket in /proc/net/tcp (include/net/tcp_states.h). */
const TCP_LISTEN = '0A';

/**
 * The process that listens on a TCP port of this machine, for a message: `process 4711 (node dist/cli.js serve)`. Null
 * if there is none, or if this user may not inspect it.
 */
export function whoListens(port: number): string | null {
  const inodes = new Set([
    ...listeners('/proc/net/tcp', port),
    ...listeners('/proc/net/tcp6', port),
  ]);
  if (inodes.size === 0) return null;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    if (!holdsAny(pid, inodes)) continue;
    const command = orNothing(() => readFileSync(join('/proc', pid, 'cmdline'), 'utf8'));
    return `process ${pid} (${command?.replaceAll('\0', ' ').trim() || 'unknown command'})`;
  }
  return null;
}

/** The inodes of the sockets that listen on the port. Columns: sl, local address, remote address, st, …, inode. */
function listeners(table: string, port: number): string[] {
  const hexPort = port.toString(16).toUpperCase().padStart(4, '0');
  return (orNothing(() => readFileSync(table, 'utf8')) ?? '')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((columns) => columns[1]?.endsWith(`:${hexPort}`) && columns[3] === TCP_LISTEN)
    .flatMap((columns) => columns[9] ?? []);
}

function holdsAny(pid: string, inodes: ReadonlySet<string>): boolean {
  const folder = join('/proc', pid, 'fd');
  return (orNothing(() => readdirSync(folder)) ?? []).some((fd) => {
    const target = orNothing(() => readlinkSync(join(folder, fd)));
    const inode = /^socket:\[(\d+)\]$/.exec(target ?? '')?.[1];
    return inode !== undefined && inodes.has(inode);
  });
}

/** Null if reading fails: a process may end meanwhile or belong to another user, and the system may lack IPv6. */
function orNothing<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}
