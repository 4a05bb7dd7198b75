/** Starts users whose code prints as fast as their kernels can. */
import type { TestGateway } from './gateway.ts';
import { interrupt, printed, restartKernel, submit } from './interpreter.ts';

const FLOOD = `i = 0
while True:
    print(i, "x" * 80)
    i += 1`;
const TIMEOUT_MS = 300_000;

export interface Flood {
  /** Ids of the printing executions, one for each user. */
  readonly ids: readonly string[];
  /**
   * Interrupts all executions, and restarts the kernel of one that goes on. Resolves when all executions have ended.
   * The sessions stay open.
   */
  stop(): Promise<void>;
}

/** Resolves when every user's code prints. */
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
