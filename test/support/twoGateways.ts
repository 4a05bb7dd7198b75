import { afterEach, beforeEach, expect } from 'vitest';
import type { ExecutionId } from '../../src/domain/ids.ts';
import { useDatabase } from './database.ts';
import {
  type ActingGateway,
  actingGateway,
  type ScriptedWorker,
  startScriptedWorker,
} from './scriptedWorker.ts';

/** What is fresh for each test. */
export interface TwoGateways {
  /** Adopts the worker when a test says so. */
  readonly holder: ActingGateway;
  readonly other: ActingGateway;
  readonly scripted: ScriptedWorker;
}

/**
 * Two acting gateways and a worker with a scripted agent, fresh for each test of the file that calls this, on one
 * database. `beforeTest` gets them.
 */
export async function useTwoGateways(beforeTest: (fresh: TwoGateways) => void) {
  const db = await useDatabase();
  /** A gateway that only looks. */
  const observer = await db.open();
  const execution = (id: ExecutionId) => observer.queries.execution(id);
  let fresh: TwoGateways;

  beforeEach(async () => {
    fresh = {
      holder: actingGateway(await db.open()),
      other: actingGateway(await db.open()),
      scripted: await startScriptedWorker(observer),
    };
    beforeTest(fresh);
  });
  afterEach(async () => {
    await fresh.holder.die();
    await fresh.other.die();
    await fresh.scripted.close();
  });

  return {
    db,
    observer,
    execution,
    untilStatus: (id: ExecutionId, status: string) =>
      expect.poll(async () => (await execution(id))?.status).toBe(status),
  };
}
