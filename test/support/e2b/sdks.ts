/**
 * E2B's own SDK, unmodified, in two installs: with the current `e2b`, and with an earlier one, which calls other paths.
 * package.json pins both. Three environment variables are all that leads them to Cellhouse.
 */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as today from '@e2b/code-interpreter';
import * as before from '@e2b/code-interpreter-before';
import { afterAll, beforeAll } from 'vitest';
import { startTestGateway, type TestGateway } from '../../../testkit/gateway.ts';
import { runCli } from '../../../testkit/runCli.ts';
import { commandsIn, readPage } from '../userPages.ts';

type E2bSdk = typeof today;
export type Sandbox = InstanceType<E2bSdk['Sandbox']>;

export interface InstalledSdk {
  readonly name: string;
  readonly sdk: E2bSdk;
}

/** Both installs have the same classes. Because of private members, TypeScript takes them for different types. */
export const E2B_SDKS: readonly InstalledSdk[] = [
  { name: nameOf('@e2b/code-interpreter'), sdk: today },
  { name: nameOf('@e2b/code-interpreter-before'), sdk: before as unknown as E2bSdk },
];

/** The names and versions of the SDK and of its `e2b`, as Node resolves them from here. */
function nameOf(install: string): string {
  const fromHere = createRequire(import.meta.url);
  const fromInstall = createRequire(fromHere.resolve(install));
  const versionBy = (require: NodeJS.Require, name: string) =>
    (require(`${name}/package.json`) as { readonly version: string }).version;
  return `@e2b/code-interpreter ${versionBy(fromHere, install)} with e2b ${versionBy(fromInstall, 'e2b')}`;
}

/** The two URLs for a client that is to use this gateway instead of the one in the variables. */
export function atGateway({ url }: Pick<TestGateway, 'url'>) {
  return { apiUrl: `${url}/e2b`, sandboxUrl: `${url}/e2b` };
}

const PAGE = 'docs/use/doors/e2b.md';

/** Sets the variables that a user of the SDK sets by {@link PAGE}, and removes all others of E2B. */
export function setVariables({ url }: Pick<TestGateway, 'url'>, key: string): void {
  for (const name of Object.keys(process.env)) {
    if (name.startsWith('E2B_')) delete process.env[name];
  }
  const variables = commandsIn(readPage(PAGE)).map((command) => {
    const [, name = '', value = ''] = /^export (E2B_\w+)=(\S+)$/.exec(command) ?? [];
    return [name, value.replace('e2b_...', key).replace('http://127.0.0.1:3874', url)];
  });
  Object.assign(process.env, Object.fromEntries(variables));
}

// A token in the shape of E2B's keys, made as operators make one.

/** @returns its secret */
export async function e2bKey({ env }: Pick<TestGateway, 'env'>, name: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'ch-key-'));
  const file = join(folder, 'key');
  const words = ['token', 'create', '--name', name, '--role', 'tenant', '--shape', 'e2b'];
  try {
    const { code, output } = await runCli([...words, '--output', file], env);
    if (code !== 0) throw new Error(`No key was made: ${output}`);
    return readFileSync(file, 'utf8').trim();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

// A real gateway with real workers, and the SDK's variables set for it, for the tests of the file that asks for it.

export let gateway: TestGateway;
/** The key in the variables. */
export let key: string;

/** Starts the gateway before the tests of the file that calls this, and ends it afterwards. */
export function useE2bGateway(): void {
  beforeAll(async () => {
    gateway = await startTestGateway({ MIN_IDLE_WORKERS: '0' });
    key = await e2bKey(gateway, 'e2b');
    setVariables(gateway, key);
  });
  afterAll(() => gateway.destroy());
}

// Code that runs for long, for tests of how it ends.

/** Prints a line, so that a client knows that it runs. */
export const LONG = 'print("on", flush=True)\nimport time\ntime.sleep(300)';

interface Ended {
  /** Null if the call succeeded. */
  readonly error: unknown;
  readonly at: number;
}

/** Runs code, and resolves once it has printed. The promise of its end is in an object: `await` would wait for it. */
export async function runningCode(
  sandbox: Sandbox,
  code = LONG,
  timeoutMs = 60_000,
): Promise<{ readonly ended: Promise<Ended> }> {
  let ended: Promise<Ended> | null = null;
  await new Promise<void>((resolve, reject) => {
    ended = endOf(sandbox.runCode(code, { onStdout: () => resolve(), timeoutMs }));
    ended.then(({ error }) => reject(error ?? new Error('It ended, and printed nothing.')), reject);
  });
  if (ended === null) throw new Error('It did not start.');
  return { ended };
}

/** How and when a call ended. */
export function endOf(call: Promise<unknown>): Promise<Ended> {
  return call.then(
    () => ({ error: null, at: Date.now() }),
    (error: unknown) => ({ error, at: Date.now() }),
  );
}
