/** Opens the port, or says in one sentence why that failed; and who can reach it, and who has it. */

import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { Server } from 'node:http';
import { type AddressInfo, isIP } from 'node:net';
import { join } from 'node:path';
import { quoted } from '../../domain/text.ts';

/** Whether only this machine can connect to HOST. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** `st` of a listening socket in /proc/net/tcp (include/net/tcp_states.h). */
const TCP_LISTEN = '0A';

/**
 * The process that listens on a TCP port of this machine, for a message: `process 4711 (node dist/cli.js serve)`. Null
 * if there is none, or if this user may not inspect it.
 */
export function listeningProcess(port: number): string | null {
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

/** Its message is for the operator, and needs no stack trace. */
class ListenError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ListenError';
  }
}

/** @throws ListenError */
export async function listen(server: Server, host: string, port: number): Promise<AddressInfo> {
  try {
    server.listen({ host, port });
    await once(server, 'listening');
  } catch (error: unknown) {
    throw new ListenError(explain(error, host, port), { cause: error });
  }
  const address = server.address();
  if (address === null || typeof address === 'string')
    throw new Error('The server listens on no port.');
  return address;
}

function explain(error: unknown, host: string, port: number): string {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  switch (code) {
    case 'EADDRINUSE':
      return `Port ${port} on ${host} is in use by ${listeningProcess(port) ?? 'another process'}. Stop that, or set PORT to another.`;
    case 'EACCES':
      return `This user may not open port ${port}. Set PORT to a number above 1023.`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `HOST is ${quoted(host)}, which is no address of this machine.`;
    default:
      return `Port ${port} on ${host} could not be opened: ${error instanceof Error ? error.message : error}`;
  }
}
