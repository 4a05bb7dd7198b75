/**
 * Measures how much a tenant that goes on calling at its quota slows down another tenant: the other's `1+1` during the
 * refused calls, and without them. Both cases take turns in one run, so that a busy machine slows both alike.
 *
 * `npm run bench -- at-quota [--kind MINUTE|QUEUED] [--per-second N] [--code-bytes N] [--rounds N] [--release COMMIT]`
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { buildCommit } from '../testkit/formerRelease.ts';
import { startTestGateway, type TestGateway } from '../testkit/gateway.ts';
import type { Bench, BenchResult } from './suite/bench.ts';
import { percentile } from './suite/statistics.ts';
import { httpExecute, type KeptConnection, keptConnection } from './support/httpExecute.ts';

/** Samples of each case in each round. */
const SAMPLES = 150;
/** The first samples are left out, because compilers and caches are still warming up. */
const WARM_UP = 300;
/** Connections of the tenant that is refused. */
const CALLERS = 8;
const KINDS = { MINUTE: 'EXECUTIONS_PER_MINUTE', QUEUED: 'QUEUED_EXECUTIONS' } as const;
const SLEEP = 'import time; time.sleep(3600)';
const SUBMIT = 'mutation ($input: ExecuteInput!) { submit(input: $input) { id } }';

export const atQuotaBench: Bench = {
  name: 'at-quota',
  about: '1+1 of one tenant, alone and beside another whose calls are refused by its quota',
  isInBareRun: false,
  run: async ({ isShort, args, say }) => {
    const { values } = parseArgs({
      args: [...args],
      options: {
        kind: { type: 'string', default: 'MINUTE' },
        'per-second': { type: 'string', default: '400' },
        'code-bytes': { type: 'string', default: '1000' },
        rounds: { type: 'string', default: isShort ? '2' : '6' },
        release: { type: 'string' },
      },
    });
    const kind = values.kind === 'QUEUED' ? 'QUEUED' : 'MINUTE';
    const refused = { kind, perSecond: Number(values['per-second']) } as const;
    const code = '#'.repeat(Number(values['code-bytes']));
    const built = values.release === undefined ? undefined : await buildCommit(values.release);
    const settings = { LOG_LEVEL: 'warn', MIN_IDLE_WORKERS: '2', MAX_TOTAL_WORKERS: '2' };
    const gateway = await startTestGateway(settings, built);
    try {
      return await measure(gateway, { ...refused, code }, Number(values.rounds), say);
    } finally {
      await gateway.destroy();
      built?.remove();
    }
  },
};

interface Refused {
  readonly kind: keyof typeof KINDS;
  /** Calls per second, of all callers together. */
  readonly perSecond: number;
  readonly code: string;
}

async function measure(
  gateway: TestGateway,
  refused: Refused,
  rounds: number,
  say: (line: string) => void,
): Promise<BenchResult> {
  const { url, token } = gateway;
  const execute = httpExecute({ url, token, userUuid: 'quiet' });
  await samples(execute, WARM_UP);
  const callers = await tenantAtQuota(gateway, refused.kind);
  const aloneMs: number[] = [];
  const besideMs: number[] = [];
  let calls = 0;
  for (let round = 1; round <= rounds; round += 1) {
    aloneMs.push(...(await samples(execute, SAMPLES)));
    const over = new AbortController();
    const calling = Promise.all(callers.map((caller) => callOn(caller, refused, over.signal)));
    await delay(1_000);
    besideMs.push(...(await samples(execute, SAMPLES)));
    over.abort();
    calls += (await calling).reduce((all, count) => all + count, 0);
    const [alone, beside] = [aloneMs, besideMs].map((all) => percentile(all.slice(-SAMPLES), 50));
    say(`round ${round}: p50 ${alone?.toFixed(2)} ms alone, ${beside?.toFixed(2)} ms beside`);
  }
  const base = { name: 'alone', values: aloneMs };
  const measured = { name: `beside calls at ${KINDS[refused.kind]}`, values: besideMs };
  return {
    comparisons: [{ name: '1+1 of another tenant', unit: 'ms', base, measured }],
    figures: [{ name: 'refused calls', unit: '', value: calls }],
  };
}

/** The connections of a tenant that has a session and may run nothing more. */
async function tenantAtQuota(
  { graphql, url }: TestGateway,
  kind: Refused['kind'],
): Promise<KeptConnection[]> {
  const { data } = await graphql<{ createToken: { secret: string } }>(
    'mutation { createToken(input: { name: "full", role: TENANT, tenant: "full" }) { secret } }',
  );
  const secret = data?.createToken.secret ?? '';
  const callers = Array.from({ length: CALLERS }, () => keptConnection(url, secret));
  const [first] = callers as [KeptConnection];
  const input = { userUuid: 'full', code: SLEEP, timeoutMs: 300_000 };
  const begun = await first.post('/graphql', { query: SUBMIT, variables: { input } });
  if (!JSON.parse(begun).data?.submit) throw new Error(begun);
  const quota = { kind: KINDS[kind], tenant: 'full', limit: 0 };
  await graphql('mutation ($input: SetQuotaInput!) { setQuota(input: $input) { limit } }', {
    input: quota,
  });
  return callers;
}

/** Calls until `over`, at this caller's share of the rate. @returns how many calls were refused */
async function callOn(
  caller: KeptConnection,
  { perSecond, code }: Refused,
  over: AbortSignal,
): Promise<number> {
  const input = { userUuid: 'full', code };
  const everyMs = (1_000 * CALLERS) / perSecond;
  let dueAt = performance.now();
  let count = 0;
  for (; !over.aborted; count += 1) {
    const answer = await caller.post('/graphql', { query: SUBMIT, variables: { input } });
    if (JSON.parse(answer).errors?.[0]?.extensions?.code !== 'QUOTA_EXCEEDED')
      throw new Error(answer);
    dueAt = Math.max(dueAt + everyMs, performance.now() - everyMs);
    await delay(Math.max(0, dueAt - performance.now()));
  }
  return count;
}

async function samples(execute: ReturnType<typeof httpExecute>, count: number): Promise<number[]> {
  const tookMs: number[] = [];
  for (let turn = 0; turn < count; turn += 1) tookMs.push(await execute('1+1', '2'));
  return tookMs;
}
