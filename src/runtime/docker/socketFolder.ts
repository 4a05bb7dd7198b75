/** The folder of a worker's socket: on the host, mounted into that worker only. */
import { chmod, mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { PoolId, WorkerId } from '../../domain/ids.ts';
import { diskError } from './dockerErrors.ts';

/** The file that the agent makes in it. */
const SOCKET_NAME = 'agent.sock';

/** Ids go without dashes: a socket's path ends at 107 bytes. @param root SOCKET_DIR */
export function socketFolder(
  root: string,
  { poolId, workerId }: { readonly poolId: PoolId; readonly workerId: WorkerId },
): string {
  return join(root, poolId.replaceAll('-', ''), workerId.replaceAll('-', ''));
}

export function socketIn(folder: string): string {
  return join(folder, SOCKET_NAME);
}

/**
 * The pool's folder is closed to everybody else on the host; the worker's own is open, because its agent runs under a uid
 * that the gateway may not be able to give folders to. @throws RuntimeError `disk-full`
 */
export async function makeSocketFolder(folder: string): Promise<void> {
  const poolFolder = dirname(folder);
  try {
    await mkdir(poolFolder, { recursive: true, mode: 0o700 });
    await chmod(poolFolder, 0o700);
    // Not recursive: Node then says ENOENT where the disk is full.
    await mkdir(folder);
    await chmod(folder, 0o777);
  } catch (error: unknown) {
    throw diskError(error);
  }
}

/** One that is gone is no error. */
export async function removeSocketFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}
