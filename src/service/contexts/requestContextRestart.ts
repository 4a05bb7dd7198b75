import type { Context } from '../../domain/context.ts';
import { noContext } from './openContext.ts';
import { type RequestContextDeps, recordContextRequest } from './recordContextRequest.ts';
import { untilContext } from './untilContext.ts';

/**
 * Asks for a fresh kernel of the context, and resolves with the context when it has got one. Works on any gateway, as
 * a restart of the default kernel does (requestKernelRestart.ts). @throws NOT_FOUND, POOL_INITIALIZING
 */
export async function requestContextRestart(
  deps: RequestContextDeps,
  { id }: Context,
): Promise<Context> {
  const requested = await recordContextRequest(deps, id, 'RequestContextRestart');
  if (requested === null) throw noContext(id);
  const { kernelRestarts } = requested;
  const context = await untilContext(
    deps.database,
    id,
    (each) => each.kernelRestarts > kernelRestarts,
    'The kernel was not replaced',
  );
  if (context.kernelRestarts === kernelRestarts) throw noContext(id);
  return context;
}
