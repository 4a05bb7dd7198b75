/** Ends a run after all faults are healed: users finish and are served once more. Then nothing may be left over. */

import { setTimeout as delay } from 'node:timers/promises';
import { pause } from '../src/async/pause.ts';
import { type Verified, verifyChain } from '../src/events/chain/verifyChain.ts';
import { createAuditHeads } from '../src/process/dataDir.ts';
import { runCli } from '../testkit/runCli.ts';
import type { Client } from './clients/createUser.ts';
import type { Operator } from './clients/operator.ts';
import {
  type CallRecord,
  isAsItShould,
  type RestRecord,
  type RestSnapshot,
  stopwatch,
} from './history.ts';
import type { World } from './world/createWorld.ts';
import { readRest, readSetQuotas } from './world/readState.ts';

/**
 * Longer than a sweep interval (30 s) plus the time limits of making a worker: 60 s for two calls to the engine, and
 * 60 s for the kernel.
 */
const REST_LIMIT_MS = 180_000;
const LOOK_INTERVAL_MS = 250;
const RESET_INTERVAL_MS = 1_000;

export interface RestDeps {
  readonly operator: Pick<Operator, 'resetQuota'>;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

export async function bringToRest(
  world: World,
  users: readonly Client[],
  { operator, signal, say }: RestDeps,
): Promise<RestRecord> {
  const took = stopwatch();
  await Promise.all(world.gateways.map((gateway) => gateway.untilReady()));
  say(`healed; all gateways are ready after ${took()}`);
  const served = new AbortController();
  const [audits] = await Promise.all([
    Promise.all(users.map(finish)).finally(() => served.abort()),
    keepReset(world, { operator, say }, served.signal),
  ]);
  const unserved = audits.flatMap(({ user, answer }) => (answer === null ? [user] : []));
  say(`every user has been served after ${took()}`);
  const serving = await settled(world, isSettled, signal);
  say(`at rest after ${took()}`);
  for (const user of users) await user.release();
  if (isSettled(serving)) await settled(world, isSettled, signal);
  const auditServing = await sealed(world, signal);
  say(`everything is sealed after ${took()}`);
  const stops = await Promise.all(world.gateways.map((gateway) => gateway.stop()));
  const stopped = await settled(world, isUnheld, signal);
  const env = world.gateways[0]?.env ?? {};
  const { code, output } = await runCli(['down'], env);
  if (code !== 0) say(output);
  const down = await settled(world, isUnheld, signal);
  const audit = { serving: auditServing, down: await verify(world) };
  say(`down after ${took()}`);
  return { serving, stopped, down, audit, exitCodes: [...stops, code ?? 'killed'], unserved };
}

async function finish(user: Client): Promise<CallRecord> {
  await user.stop();
  return await user.audit();
}

/**
 * Resets every quota that is set, until `signal` is aborted. An attempt to set a quota may take effect after its client
 * has given it up, and even after a later attempt has reset the quota.
 */
async function keepReset(
  { postgres }: World,
  { operator, say }: Pick<RestDeps, 'operator' | 'say'>,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    for (const quota of await readSetQuotas(postgres.client)) {
      say(`${quota.kind} of ${quota.userUuid ?? quota.tenant} was set late, and is reset`);
      await operator.resetQuota(quota);
    }
    await pause(RESET_INTERVAL_MS, signal);
  }
}

/** Gateways seal new events every 10 s. Verifies until all are sealed, or a limit is over. @returns the last result */
async function sealed(world: World, signal: AbortSignal): Promise<Verified> {
  const end = Date.now() + REST_LIMIT_MS;
  for (;;) {
    const verified = await verify(world);
    if (verified.unsealed === 0 || Date.now() > end) return verified;
    await delay(LOOK_INTERVAL_MS, undefined, { signal });
  }
}

/** As `cellhouse audit verify` does, with the heads of all gateways. */
async function verify({ postgres, gateways }: World): Promise<Verified> {
  const heads = await Promise.all(
    gateways.map(({ env }) => createAuditHeads(env.DATA_DIR ?? '').read()),
  );
  return await verifyChain(postgres.address, heads.flat());
}

/** Reads until a snapshot is right. After a limit, it returns the last one, and the checker reports what is wrong. */
async function settled(
  world: World,
  isRight: (snapshot: RestSnapshot) => boolean,
  signal: AbortSignal,
): Promise<RestSnapshot> {
  const end = Date.now() + REST_LIMIT_MS;
  for (;;) {
    const snapshot = await readRest(world);
    if (isRight(snapshot) || Date.now() > end) return snapshot;
    await delay(LOOK_INTERVAL_MS, undefined, { signal });
  }
}

function isSettled(snapshot: RestSnapshot): boolean {
  const { containers, workers, unfinished, waiting, socketFolders, processes } = snapshot;
  return (
    unfinished.length === 0 &&
    waiting === 0 &&
    processes.every(isAsItShould) &&
    String(containers) === String(workers) &&
    String(socketFolders) === String(workers)
  );
}

function isUnheld({ leases, connections }: RestSnapshot): boolean {
  return leases.length === 0 && connections.length === 0;
}
