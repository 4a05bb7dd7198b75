/** Ends a run after all faults are healed: users finish and are served once more. Then nothing may be left over. */

import { setTimeout as delay } from 'node:timers/promises';
import { runCli } from '../testkit/runCli.ts';
import type { User } from './clients/createUser.ts';
import { isAsItShould, type RestRecord, type RestSnapshot } from './rest.ts';
import { stopwatch } from './stopwatch.ts';
import type { World } from './world/createWorld.ts';
import { readRest } from './world/readRest.ts';

/** Longer than a sweep interval (30 s) plus the longest time limit in making a worker (120 s). */
const REST_LIMIT_MS = 180_000;
const LOOK_INTERVAL_MS = 250;

export interface RestDeps {
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

export async function bringToRest(
  world: World,
  users: readonly User[],
  { signal, say }: RestDeps,
): Promise<RestRecord> {
  const took = stopwatch();
  await Promise.all(world.gateways.map((gateway) => gateway.untilReady()));
  say(`healed; all gateways are ready after ${took()}`);
  const audits = await Promise.all(
    users.map(async (user) => {
      await user.stop();
      return await user.audit();
    }),
  );
  const unserved = audits.flatMap(({ user, answer }) => (answer === null ? [user] : []));
  say(`every user has been served after ${took()}`);
  const serving = await settled(world, isSettled, signal);
  say(`at rest after ${took()}`);
  for (const user of users) await user.release();
  if (isSettled(serving)) await settled(world, isSettled, signal);
  const stops = await Promise.all(world.gateways.map((gateway) => gateway.stop()));
  const stopped = await settled(world, isUnheld, signal);
  const env = world.gateways[0]?.env ?? {};
  const { code, output } = await runCli(['down'], env);
  if (code !== 0) say(output);
  const down = await settled(world, isUnheld, signal);
  say(`down after ${took()}`);
  return { serving, stopped, down, exitCodes: [...stops, code ?? 'killed'], unserved };
}

/** The first snapshot that is right. After a time limit, the last one, and then the checker reports what is wrong. */
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
