/**
 * Two acting gateways and a worker with a scripted agent, fresh for each test of the file that imports them, on one
 * database.
 */
import { afterEach, beforeEach, expect } from 'vitest';
import type { ExecutionId } from '../../src/domain/ids.ts';
import { useDatabase } from './database.ts';
import {
  type ActingGateway,
  actingGateway,
  type ScriptedWorker,
  startScriptedWorker,
} from './scriptedWorker.ts';

export const db = await useDatabase();
/** A gateway that only looks. */
export const observer = await db.open();
/** Adopts the worker when a test says so. */
export let holder: ActingGateway;
export let other: ActingGateway;
export let scripted: ScriptedWorker;

beforeEach(async () => {
  holder = actingGateway(await db.open());
  other = actingGateway(await db.open());
  scripted = await startScriptedWorker(observer);
});
afterEach(async () => {
  await holder.die();
  await other.die();
  await scripted.close();
});

export const execution = (id: ExecutionId) => observer.queries.execution(id);
export const untilStatus = (id: ExecutionId, status: string) =>
  expect.poll(async () => (await execution(id))?.status).toBe(status);
