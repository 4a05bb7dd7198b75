import { expect } from 'vitest';
import { runForget } from '../../src/cli/forget.ts';
import { verifyChain } from '../../src/events/chain/verifyChain.ts';
import type { Database } from '../../src/events/database.ts';
import { rebuildProjections } from '../../src/events/projections/rebuildProjections.ts';
import { seal } from './auditChain.ts';
import { type TestDatabase, useDatabase } from './database.ts';
import { type Forgettable, makeForgettable } from './forgettable.ts';
import { newMark } from './marks.ts';
import { NONE_OF_EACH } from './noneOfEach.ts';

export interface Forgettables {
  readonly db: TestDatabase;
  readonly gateway: Database;
  readonly ann: Forgettable;
  /** Another user of the same tenant. */
  readonly bob: Forgettable;
  /** A user of the same name as ann in another tenant. */
  readonly other: Forgettable;
  /** Runs `cellhouse forget --yes` with these words. */
  run(...words: string[]): Promise<string>;
  forgetAnn(): Promise<string>;
  /** What everybody used, without names. */
  usage(): Promise<readonly unknown[]>;
  /** The chain verifies, and the rows follow from the events. */
  expectIntact(): Promise<void>;
}

/** A database with three users who can be forgotten. */
export async function useForgettables(
  onEnd: Parameters<typeof useDatabase>[0],
): Promise<Forgettables> {
  const db = await useDatabase(onEnd);
  const gateway = await db.open();
  const [tenant, userUuid] = [newMark('tenant'), newMark('user')];
  const other = await makeForgettable(db, gateway, { tenant: newMark('other'), userUuid });
  const bob = await makeForgettable(db, gateway, { tenant, userUuid: newMark('bob') });
  const ann = await makeForgettable(db, gateway, { tenant, userUuid });
  await seal(gateway);
  const run = async (...words: string[]) => {
    const lines: string[] = [];
    const print = (line: string) => void lines.push(line);
    const config = { logLevel: 'silent' } as const;
    await runForget(['--yes', ...words], { config, address: db.address, print, ask: null });
    return lines.join('\n');
  };
  return {
    ...{ db, gateway, ann, bob, other, run },
    forgetAnn: () => run('--user', userUuid, '--tenant', tenant),
    usage: async () => [
      ...(await db.sql`
        SELECT count(*) AS executions, sum(cpu_ms) AS cpu_ms, sum(output_bytes) AS output_bytes, sum(code_bytes) AS code_bytes
        FROM executions GROUP BY tenant, user_uuid ORDER BY min(requested_position)`),
    ],
    expectIntact: async () => {
      const heads = await gateway.queries.auditHeads();
      expect((await verifyChain(db.address, heads)).findings).toEqual([]);
      await seal(gateway);
      expect((await verifyChain(db.address, [])).findings).toEqual([]);
      expect((await rebuildProjections(db.address)).differing).toEqual(NONE_OF_EACH);
    },
  };
}
