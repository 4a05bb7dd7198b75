/** The folder for a worker's socket. It is on the host and is mounted only into that worker. */
import { chmod, mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { PoolId, WorkerId } from '../../domain/ids.ts';
import { diskError } from './dockerErrors.ts';

/** The name of the socket that the agent creates there. */
const SOCKET_NAME = 'agent.sock';

/** The dashes of the ids are left out, because a socket's path may have at most 107 bytes. @param root SOCKET_DIR */
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
 * Creates the folder. The pool's folder above it is closed to all other users of the host. The worker's folder is open
 * to all, because the gateway may lack the right to give it to the agent's uid.
 * @throws RuntimeError `disk-full`
 */
export async function makeSocketFolder(folder: string): Promise<void> {
  const poolFolder = dirname(folder);
  try {
    await mkdir(poolFolder, { recursive: true, mode: 0o700 });
    await chmod(poolFolder, 0o700);
    // Not recursive, because Node would then report a full disk as ENOENT.
    await mkdir(folder);
    await chmod(folder, 0o777);
  } catch (error: unknown) {
    throw diskError(error);
  }
}

/** Does nothing if the folder is gone already. */
export async function removeSocketFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}
