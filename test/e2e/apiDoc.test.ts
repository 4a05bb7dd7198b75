/** Runs the pages for users from top to bottom, one after the other: each operation must give the answer below it. */
import { execFile, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { fences, GUIDE, readPage } from '../support/userPages.ts';

const ROOT = new URL('../../', import.meta.url).pathname;

let gateway: TestGateway;
/** A folder with the token's file, where the commands of the pages run. */
let folder: string;
/** The values of `$id`, `$session`, `$worker`, `$at`, `$context` and `$token`, once an answer has given them. */
const known = new Map<string, string>();
beforeAll(async () => {
  gateway = await startTestGateway();
  folder = mkdtempSync(join(tmpdir(), 'cellhouse-pages-'));
  mkdirSync(join(folder, '.cellhouse'));
  cpSync(join(gateway.dataDir, 'auth-token'), join(folder, '.cellhouse/auth-token'));
});
afterAll(async () => {
  await gateway.destroy();
  rmSync(folder, { recursive: true });
});

/** Turns an answer of the page into a pattern for `expect`: `…` matches anything. */
function pattern(answer: unknown): unknown {
  if (answer === '…') return expect.anything();
  if (typeof answer === 'string' && answer.includes('…'))
    return expect.stringMatching(answer.split('…').map(escaped).join('.+'));
  if (Array.isArray(answer)) return answer.map(pattern);
  if (typeof answer !== 'object' || answer === null) return answer;
  return Object.fromEntries(Object.entries(answer).map(([key, value]) => [key, pattern(value)]));
}

const escaped = (text: string) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** Replaces `$id`, `$session` and so on in a text of the page, where the value is already known. */
function filledIn(text: string): string {
  return text.replaceAll(/\$\w+/g, (name) => known.get(name) ?? name);
}

interface Told {
  readonly submit?: { readonly id: string };
  readonly createContext?: { readonly id: string };
  readonly createToken?: { readonly token: { readonly id: string } };
  readonly session?: { readonly id: string; readonly worker?: { readonly id: string } };
}

function remember({ submit, createContext, createToken, session }: Told): void {
  if (submit) known.set('$id', submit.id);
  if (createContext) known.set('$context', createContext.id);
  if (createToken) known.set('$token', createToken.token.id);
  if (!session?.worker) return;
  known.set('$session', session.id).set('$worker', session.worker.id);
  known.set('$at', new Date().toISOString());
}

/** @param wanted how many events are read from a subscription that does not end */
async function run(query: string, wanted: number): Promise<unknown> {
  if (query.startsWith('subscription')) {
    const events: unknown[] = [];
    for await (const { data } of gateway.socket().iterate({ query })) {
      events.push(data);
      if (query.includes('sessionOutput') && events.length === wanted) break;
    }
    // The number of a build's events depends on its speed. The subscription is read to its end,
    // because the next operations of the page need the finished build.
    return query.includes('environmentBuild') ? events.slice(0, wanted) : events;
  }
  const { data, errors } = await gateway.graphql<Told>(query);
  remember(data ?? {});
  if (data?.submit) await firstOutput(data.submit.id);
  return errors ? { errors } : data;
}

/** Waits until the code runs, as a reader of the page would before interrupting it. */
async function firstOutput(id: string): Promise<void> {
  const query = `subscription { output(executionId: "${id}", after: 0) { seq } }`;
  for await (const _ of gateway.socket().iterate({ query })) return;
}

/** Runs the command that follows server-sent events, until it has printed the text below it. */
async function runCommand(command: string, expected: string): Promise<string> {
  const child = spawn('sh', ['-c', command], {
    cwd: folder,
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  for await (const text of child.stdout.setEncoding('utf8')) {
    printed += text;
    if (printed.includes(expected)) break;
  }
  // Ends the shell and its children.
  if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
  return printed;
}

/** The operations of a page, each with the answer below it. */
function pairsOf(page: string): { operation: string; answer: string }[] {
  const found = page.matchAll(/```graphql\n([\s\S]*?)```\n\n```json\n([\s\S]*?)```/g);
  return [...found].map(([, operation = '', answer = '']) => ({ operation, answer }));
}

/** A command of a page, changed to call this test's gateway. */
function here(command: string): string {
  return command
    .replaceAll('http://127.0.0.1:3874', gateway.url)
    .replaceAll('npx cellhouse', `${process.execPath} ${ROOT}dist/cli.js`);
}

describe.each(GUIDE)('%s', (path) => {
  const page = readPage(path);
  const pairs = pairsOf(page);
  const commands = fences('sh', page).filter((text) => /^(?:AUTH=|npx cellhouse )/.test(text));

  it('shows an answer with every operation', () => {
    expect(page.match(/```graphql/g) ?? []).toHaveLength(pairs.length);
    expect(pairs.length + commands.length).toBeGreaterThan(0);
  });

  it.each(pairs.map(({ operation, answer }) => [operation, answer] as const))(
    '%s',
    async (operation, answer) => {
      const expected = JSON.parse(filledIn(answer)) as unknown;
      const given = await run(filledIn(operation), Array.isArray(expected) ? expected.length : 0);
      if (Array.isArray(expected)) expect(given).toEqual(pattern(expected));
      else expect(given).toMatchObject(pattern(expected) as object);
    },
  );

  it.each(commands)('shows commands that work: %s', async (command) => {
    const env = { ...process.env, ...gateway.env };
    await promisify(execFile)('sh', ['-euc', here(command)], { cwd: folder, env });
  });
});

describe('docs/use/streaming.md', () => {
  it('shows a curl command that follows events', async () => {
    const [, command = '', events = ''] =
      /```sh\n(printf [\s\S]*?)```\n\n```text\n([\s\S]*?)```/.exec(
        readPage('docs/use/streaming.md'),
      ) ?? [];
    expect(events).toMatch(/^event: next\ndata: /);
    expect(await runCommand(here(command), events)).toContain(events);
  });
});
