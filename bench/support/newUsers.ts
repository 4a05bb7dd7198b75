/** Serves new users of a gateway, and starts plain containers of the same image and limits for comparison. */
import { get } from 'node:http';
import { startAgent } from '../../testkit/agentServer.ts';
import type { TestGateway } from '../../testkit/gateway.ts';
import { poolStatus, release } from '../../testkit/interpreter.ts';
import { until } from '../../testkit/until.ts';
import { httpExecute } from './httpExecute.ts';

/** Generous, because a busy machine may need long for thirty workers. */
export const WAIT_MS = 300_000;

/** Starts containers all at once. Resolves with the time until the health of each answered, after removing them all. */
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

/** All users call at once. Resolves with the time that each waited for the answer. */
export function serveNewUsers(
  { url, token }: TestGateway,
  users: readonly string[],
): Promise<number[]> {
  return Promise.all(users.map((userUuid) => httpExecute({ url, token, userUuid })('1+1', '2')));
}

/** Releases the users, and waits until the pool is at rest: no worker starts, and enough workers are idle. */
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
    throw new Error(`The pool did not come to rest. It has ${seen}.`, { cause });
  }
}
