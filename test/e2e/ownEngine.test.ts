/** The engine that tests of outages work on: what a killed run has left must never keep the next from starting. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { expect, it } from 'vitest';
import { createOwnEngine } from '../../testkit/ownEngine.ts';
import { until } from '../../testkit/until.ts';

/** Root alone can start an engine of its own. */
it.runIf(process.getuid?.() === 0)(
  'an engine that is about to end is removed, with its folder',
  async () => {
    const { docker, places, start, destroy } = await createOwnEngine();
    await start();
    process.kill(Number(readFileSync(places.pidFile, 'utf8')), 'SIGTERM');
    // Its last second: it answers no more, and removes its socket and its process id when it goes.
    await until('it answers no more', async () => !(await docker.ping().catch(() => null)));
    expect(existsSync(places.pidFile)).toBe(true);
    await destroy();
    expect(existsSync(dirname(places.pidFile))).toBe(false);
  },
  60_000,
);
