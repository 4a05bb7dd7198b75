/** Tests the engine of outage tests: leftovers of a killed run must never keep the next engine from starting. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { expect, it } from 'vitest';
import { createOwnEngine } from '../../testkit/ownEngine.ts';
import { until } from '../../testkit/until.ts';

/** Only root can start another engine. */
it.runIf(process.getuid?.() === 0)(
  'an engine that is about to end is removed, with its folder',
  async () => {
    const { docker, places, start, destroy } = await createOwnEngine();
    await start();
    process.kill(Number(readFileSync(places.pidFile, 'utf8')), 'SIGTERM');
    // In its last second the engine does not answer any more; at its end it removes its socket and pid file.
    await until('it answers no more', async () => !(await docker.ping().catch(() => null)));
    expect(existsSync(places.pidFile)).toBe(true);
    await destroy();
    expect(existsSync(dirname(places.pidFile))).toBe(false);
  },
  60_000,
);
