/** New users of a gateway, and plain containers of the same image with the same limits to compare them with. */
import { get } from 'node:http';
import type { TestGateway } from '../../testkit/gateway.ts';
import { poolStatus, release } from '../../testkit/interpreter.ts';
import { startAgent } from '../../testkit/kernelServers.ts';
import { until } from '../../testkit/until.ts';
import { httpExecute } from './httpExecute.ts';

/** A machine that does other things as well may take long for thirty. */
export const WAIT_MS = 300_000;

/** Begins so many at once; resolves with what each took, from then until its health answered. They are gone then. */
export async function startPlainContainers(count: number): Promise<number[]> {
  const startedAt = performance.now();
  const started = await Promise.all(
    Array.from({ length: count }, async () => {
      const agent = await startAgent();
      await healthOf(agent.socketPath);
      return { agent, tookMs: performance.now() - startedAt };
    }),
  );
  for (const { agent } of started) await agent.close();
  return started.map(({ tookMs }) => tookMs);
}

function healthOf(socketPath: string): Promise<void> {
  return new Promise((resolve, reject) => {
    get({ socketPath, path: '/health' }, (response) => {
      response.resume();
      if (response.statusCode === 200) resolve();
      else reject(new Error(`Its health is ${response.statusCode}.`));
    }).on('error', reject);
  });
}

/** All call at once; resolves with what each took until it had its answer. */
export function serveNewUsers(
  { url, token }: TestGateway,
  users: readonly string[],
): Promise<number[]> {
  return Promise.all(users.map((userUuid) => httpExecute({ url, token, userUuid })('1+1', '2')));
}

/** Releases them, and waits until the pool is at rest: nothing comes or goes, and at least so many are idle. */
export async function leave(
  gateway: TestGateway,
  users: readonly string[],
  rest: { readonly busyWorkers: number; readonly idleWorkers: number },
): Promise<void> {
  for (const user of users)
    if (!(await release(gateway, user))) throw new Error(`${user} had no session.`);
  let seen = '';
  const isAtRest = async (): Promise<boolean> => {
    const { totalWorkers, busyWorkers, idleWorkers } = await poolStatus(gateway);
    seen = JSON.stringify({ totalWorkers, busyWorkers, idleWorkers });
    return (
      busyWorkers === rest.busyWorkers &&
      idleWorkers >= rest.idleWorkers &&
      totalWorkers === busyWorkers + idleWorkers
    );
  };
  try {
    await until('the pool at rest', isAtRest, WAIT_MS);
  } catch (cause: unknown) {
    throw new Error(`The pool does not come to rest, it has ${seen}.`, { cause });
  }
}
