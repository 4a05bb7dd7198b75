import type { SandboxCall } from '../../surface.ts';
import { noContext } from '../refused.ts';
import { findContext } from './findContext.ts';

/** Replaces the kernel of a context, which keeps its id and its folder. @throws RefusedError with 404 */
export async function restartContext(sandbox: SandboxCall, given: string): Promise<void> {
  const { id } = await findContext(sandbox, given);
  await sandbox.call.service.restartKernel(sandbox.userUuid, id);
}

/**
 * Deletes a context, with what runs in it. The default one lives as long as the sandbox, so its kernel is replaced:
 * whatever is run in it later finds nothing of what was there. @throws RefusedError with 404
 */
export async function deleteContext(sandbox: SandboxCall, given: string): Promise<void> {
  const { call, userUuid } = sandbox;
  const { id } = await findContext(sandbox, given);
  if (id === null) return void (await call.service.restartKernel(userUuid, null));
  if (!(await call.service.deleteContext(userUuid, id))) throw noContext(given);
}
