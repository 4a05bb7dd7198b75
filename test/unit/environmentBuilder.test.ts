/** The gateway that builds environments, without an engine and a database. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, it, onTestFinished } from 'vitest';
import { createEnvironments, type EnvironmentsDeps } from '../../src/environments/environments.ts';
import { createGate } from '../support/gate.ts';

it('a folder of interrupted builds that cannot be removed does not keep a gateway from building', async () => {
  const parent = mkdtempSync(join(tmpdir(), 'ch-builds-'));
  onTestFinished(() => rmSync(parent, { recursive: true }));
  writeFileSync(join(parent, 'file'), '');
  const asked = createGate();
  const environments = createEnvironments({
    folder: join(parent, 'file', 'builds'),
    poolId: 'pool',
    logger: pino({ level: 'silent' }),
    database: {
      wakeUps: { onEvent: () => () => undefined },
      leases: {
        isHeld: () => false,
        acquire: async () => {
          asked.open();
          return null;
        },
      },
    },
  } as unknown as EnvironmentsDeps);
  environments.start();
  expect(await asked.isOpen).toBeUndefined();
  await environments.close();
});
