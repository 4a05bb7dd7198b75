import { join } from 'node:path';
import type { Layout } from './layout.ts';
import { readIfThere } from './readIfThere.ts';

/** What the pid file says (PostgreSQL's `miscadmin.h`, LOCK_FILE_LINE_*). */
export interface ServerStatus {
  readonly pid: number;
  readonly port: number;
  readonly socketDir: string;
  readonly isReady: boolean;
}

/** Null while the server has not written all of it yet, or none runs. */
export function readStatus(layout: Layout): ServerStatus | null {
  const lines = readIfThere(join(layout.data, 'postmaster.pid'))?.split('\n') ?? [];
  const [pid, , , port, socketDir, , , status] = lines;
  if (!pid || !port || !socketDir) return null;
  return {
    pid: Number(pid),
    port: Number(port),
    socketDir,
    isReady: status?.trim() === 'ready',
  };
}
