/** Users who print as fast as their kernels can. */
import type { TestGateway } from './gateway.ts';
import { interrupt, printed, restartKernel, submit } from './interpreter.ts';

const FLOOD = `i = 0
while True:
    print(i, "x" * 80)
    i += 1`;
const TIMEOUT_MS = 300_000;

export interface Flood {
  /** Ids of the executions that print, one for each user. */
  readonly ids: readonly string[];
  /** Interrupts all, or replaces the kernel of one that takes no notice; resolves when they have ended. The sessions stay. */
  stop(): Promise<void>;
}

/** Resolves when each of them prints. */
export async function startFlood(gateway: TestGateway, users: number): Promise<Flood> {
  const client = gateway.socket();
  const ids = await Promise.all(
    Array.from({ length: users }, async (_, index) => {
      const { id } = await submit(gateway, userOf(index), FLOOD, { timeoutMs: TIMEOUT_MS });
      await printed(client, id, 1);
      return id;
    }),
  );
  await client.dispose();
  return {
    ids,
    stop: async () => {
      await Promise.all(
        ids.map(async (id, index) => {
          if ((await interrupt(gateway, id)) === 'RUNNING')
            await restartKernel(gateway, userOf(index));
        }),
      );
    },
  };
}

const userOf = (index: number): string => `flood-${index}`;
