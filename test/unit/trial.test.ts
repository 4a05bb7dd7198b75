/** The test of a built image that nobody waits for any more. */
import { PassThrough } from 'node:stream';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { pause } from '../../src/async/pause.ts';
import { type TrialDeps, tryImage } from '../../src/environments/trial.ts';
import { newId } from '../../src/process/newId.ts';

const REASON = new Error('The environment was removed.');

it.each(['while its worker is made', 'when its worker is ready'])(
  'a test that is given up %s ends at once, and its worker is removed',
  async (when) => {
    const giving = new AbortController();
    const removed: unknown[] = [];
    const runtime = {
      create: async () => {
        if (when === 'while its worker is made') giving.abort(REASON);
        return { containerId: 'container', location: '/agent.sock' };
      },
      addressOf: () => ({
        open: () => new PassThrough(),
        untilOpen: async (signal: AbortSignal) => {
          if (when === 'when its worker is ready') giving.abort(REASON);
          else await pause(60_000, signal);
          if (when !== 'when its worker is ready') signal.throwIfAborted();
        },
      }),
      inspect: async () => undefined,
      remove: async ({ containerId }: { containerId: string }) => void removed.push(containerId),
    };
    const deps = {
      ...{ runtime, poolId: 'pool', limits: {}, newId },
      logger: pino({ level: 'silent' }),
    } as unknown as TrialDeps;
    await expect(tryImage(deps, 'image', giving.signal)).rejects.toBe(REASON);
    expect(removed).toEqual(['container']);
  },
);
