/**
 * A load of small calls and what became of them: `node examples/load.mjs --users 10 --rate 50 --seconds 10 --code '1 + 1'`.
 *
 * Calls are made at a steady rate, whether or not those before were answered, and a call's latency counts from when it was
 * due: a server that falls behind cannot slow the load down and so look faster than its users would find it.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';

const url = process.env.CELLHOUSE_URL ?? 'http://127.0.0.1:3874';
const token = process.env.CELLHOUSE_TOKEN ?? readFileSync('.cellhouse/auth-token', 'utf8').trim();

const { values } = parseArgs({
  options: {
    users: { type: 'string', default: '10' },
    rate: { type: 'string', default: '50' },
    seconds: { type: 'string', default: '10' },
    code: { type: 'string', default: '1 + 1' },
  },
});
const { code } = values;
const [users, rate, seconds] = [values.users, values.rate, values.seconds].map(Number);
if (!(users >= 1 && rate > 0 && seconds > 0))
  throw new Error('--users, --rate (calls a second) and --seconds are numbers above 0.');

const EXECUTE = 'mutation ($input: ExecuteInput!) { execute(input: $input) { status } }';
const RELEASE = 'mutation ($input: ReleaseInput!) { release(input: $input) { released } }';

async function graphql(query, input) {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Auth-Token': token },
    body: JSON.stringify({ query, variables: { input } }),
  });
  return await response.json();
}

/** The status of the code, or the code of what was wrong with the call. */
async function execute(userUuid) {
  try {
    const { data, errors } = await graphql(EXECUTE, { userUuid, code });
    return errors?.[0].extensions.code ?? data.execute.status;
  } catch (problem) {
    return problem.cause?.code ?? problem.message;
  }
}

const latenciesMs = [];
const outcomes = new Map();

async function call(userUuid, dueAt) {
  const outcome = await execute(userUuid);
  outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  if (outcome === 'OK') latenciesMs.push(performance.now() - dueAt);
}

const run = crypto.randomUUID();
const names = Array.from({ length: users }, (_, n) => `load-${run}-${n}`);
const openedAt = performance.now();
await Promise.all(names.map(execute));
console.log(`${users} sessions in ${Math.round(performance.now() - openedAt)} ms`);

const startedAt = performance.now();
const calls = [];
for (let n = 0; n < rate * seconds; n += 1) {
  const dueAt = startedAt + (n / rate) * 1_000;
  const early = dueAt - performance.now();
  if (early > 0) await delay(early);
  calls.push(call(names[n % users], dueAt));
}
await Promise.all(calls);
const tookSeconds = (performance.now() - startedAt) / 1_000;
await Promise.all(names.map((userUuid) => graphql(RELEASE, { userUuid })));

latenciesMs.sort((one, other) => one - other);
const percentile = (of) => latenciesMs[Math.ceil((of / 100) * latenciesMs.length) - 1];
const shown = [50, 95, 99].map((of) => `p${of} ${percentile(of)?.toFixed(1) ?? '-'} ms`);
console.log(`${calls.length} calls in ${tookSeconds.toFixed(1)} s`);
console.log(`${(latenciesMs.length / tookSeconds).toFixed(1)} OK/s, ${shown.join(', ')}`);
for (const [outcome, count] of outcomes) console.log(`${outcome}: ${count}`);
