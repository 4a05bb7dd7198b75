import { join } from 'node:path';
import type { Layout } from './layout.ts';
import { readIfThere } from './readIfThere.ts';

/** The content of the pid file (PostgreSQL's `miscadmin.h`, LOCK_FILE_LINE_*). */
export interface ServerStatus {
  readonly pid: number;
  readonly port: number;
  readonly socketDir: string;
  readonly isReady: boolean;
}

/** Reads the pid file. Null if no server is running, or if the server has not written the whole file yet. */
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
