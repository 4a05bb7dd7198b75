/** What a tool gets of the request that calls it. */
import type { ServerContext } from '@modelcontextprotocol/server';
import type { DoorCall, DoorDeps } from '../openDoor.ts';

export interface McpCall extends Pick<DoorCall, 'service' | 'principal' | 'gone' | 'stopping'> {
  readonly headers: DoorCall['req']['headers'];
  /** Whether the client knows links to resources: since revision 2025-06-18. */
  readonly knowsLinks: boolean;
  readonly deps: DoorDeps;
}

/** How a tool tells its progress. Null: the client did not ask. */
export type Notify = ((progress: number, message: string) => Promise<void>) | null;

/** Returns the function that reports progress to the client of `context`. Null: the client did not ask for it. */
export function notifyOf({ mcpReq }: ServerContext): Notify {
  const progressToken = mcpReq._meta?.progressToken;
  if (progressToken === undefined) return null;
  return (progress, message) =>
    mcpReq.notify({
      method: 'notifications/progress',
      params: { progressToken, progress, message },
    });
}
