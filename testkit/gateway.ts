/**
 * Starts a real gateway: the built program in its own process, with its own data directory, database, port and pool.
 * The database is on the shared server (`sharedServer.ts`), if there is one. Otherwise the gateway starts an embedded
 * PostgreSQL. The gateway can be killed and started again on the same data.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import type { BuiltRelease } from './formerRelease.ts';
import { runCli } from './runCli.ts';
import { makeDatabase, secretsIn, seedCluster } from './sharedServer.ts';
import { lightWorkerImage } from './workerImage.ts';

/** A first start makes a database and two workers, perhaps on a busy machine. This is below a test's time limit. */
const START_TIMEOUT_MS = 100_000;
/** The time limit of code for which a test sets none. On a busy machine, the default of 10 s may be too short. */
const EXECUTION_TIMEOUT_MS = 60_000;
const CLI = new URL('../dist/cli.js', import.meta.url).pathname;

export interface GraphqlAnswer<Data> {
  readonly status: number;
  readonly data: Data | null;
  readonly errors?: readonly {
    readonly message: string;
    readonly extensions?: { readonly code?: string } & Readonly<Record<string, unknown>>;
  }[];
}

export interface TestGateway {
  readonly url: string;
  readonly port: number;
  readonly token: string;
  readonly dataDir: string;
  readonly env: Readonly<Record<string, string>>;
  readonly pid: number;
  /** Everything that the gateway has printed so far. */
  log(): string;
  graphql<Data>(
    query: string,
    variables?: Readonly<Record<string, unknown>>,
  ): Promise<GraphqlAnswer<Data>>;
  /** A graphql-ws client that does not retry. It is disposed by {@link TestGateway.destroy}. */
  socket(): Client;
  /** Sends the signal and resolves with the exit code or signal when the gateway has ended. */
  kill(
    signal: NodeJS.Signals,
    toGroup?: boolean,
  ): Promise<{ code: number | null; signal: string | null }>;
  /** Starts the gateway again on the same data and port. */
  restart(): Promise<void>;
  /** Ends everything in this installation. */
  destroy(): Promise<void>;
}

/** A setting for a gateway with a PostgreSQL server of its own, as an operator has it by default. */
export const OWN_SERVER = { DATABASE_URL: '' } as const;

/** @param release the built program to start. By default: this checkout's, with light workers */
export async function startTestGateway(
  settings: Readonly<Record<string, string>> = {},
  release: BuiltRelease = { cli: CLI, workerImage: lightWorkerImage() },
): Promise<TestGateway> {
  const { cli, workerImage } = release;
  const root = mkdtempSync(join(tmpdir(), 'ch-e2e-'));
  const dataDir = join(root, 'data');
  const env: Record<string, string> = {
    ...inherited(),
    WORKER_IMAGE: workerImage,
    DATA_DIR: dataDir,
    SOCKET_DIR: join(root, 's'),
    PORT: '0',
    LOG_LEVEL: 'info',
    EXECUTION_TIMEOUT_MS: String(EXECUTION_TIMEOUT_MS),
    ...settings,
  };
  const database = env.DATABASE_URL === undefined ? await makeDatabase() : null;
  if (database) env.DATABASE_URL = database.url;
  if (!env.DATABASE_URL) seedCluster(dataDir);
  let child = await launch(cli, env);
  // The next start must be reachable at the same address.
  env.PORT = String(child.port);
  const clients: Client[] = [];
  const url = `http://127.0.0.1:${child.port}`;
  const token = settings.AUTH_TOKEN ?? readFileSync(join(dataDir, 'auth-token'), 'utf8').trim();
  let printed = '';
  return {
    url,
    port: child.port,
    token,
    dataDir,
    env,
    get pid() {
      return child.pid;
    },
    log: () => printed + child.log(),
    graphql: (query, variables) => postGraphql(`${url}/graphql`, token, query, variables),
    socket: () => {
      const client = clientOf(url, token);
      clients.push(client);
      return client;
    },
    kill: (signal, toGroup = false) => child.kill(signal, toGroup),
    restart: async () => {
      printed += child.log();
      child = await launch(cli, env);
    },
    destroy: async () => {
      for (const client of clients) await client.dispose();
      await child.kill('SIGKILL', false);
      const { code, output } = await runCli(['down'], env);
      if (code !== 0) throw new Error(`\`cellhouse down\` has failed:\n${output}`);
      rmSync(root, { recursive: true, force: true });
      await database?.drop();
      if (secretsIn(printed + child.log(), [token]).length > 0)
        throw new Error("The gateway's log contains the secret of a token.");
    },
  };
}

interface Launched {
  readonly pid: number;
  readonly port: number;
  log(): string;
  kill(
    signal: NodeJS.Signals,
    toGroup: boolean,
  ): Promise<{ code: number | null; signal: string | null }>;
}

/** Starts the program in its own process group, so that a test can kill the whole group. */
async function launch(cli: string, env: Readonly<Record<string, string>>): Promise<Launched> {
  const child = spawn(process.execPath, [cli, 'serve'], {
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit') as Promise<[number | null, string | null]>;
  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      log += text;
    });
  }
  const port = await servingPort(child, exited, () => log);
  const pid = child.pid ?? 0;
  return {
    pid,
    port,
    log: () => log,
    kill: async (signal, toGroup) => {
      if (child.exitCode === null && child.signalCode === null)
        process.kill(toGroup ? -pid : pid, signal);
      const [code, by] = await exited;
      return { code, signal: by };
    },
  };
}

async function servingPort(
  child: ChildProcess,
  exited: Promise<unknown>,
  log: () => string,
): Promise<number> {
  const limit = AbortSignal.timeout(START_TIMEOUT_MS);
  const ended = exited.then(() => {
    throw new Error(`The gateway ended before it served:\n${log()}`);
  });
  for (;;) {
    const match = /serves http:\/\/[^:]+:(\d+)\/graphql/.exec(log());
    if (match) {
      ended.catch(() => undefined);
      return Number(match[1]);
    }
    const printed = once(child.stdout ?? child, 'data', { signal: limit });
    await Promise.race([printed, ended]);
  }
}

/** The environment for the tested gateway. Of Cellhouse's settings, it inherits only the engine and the runtime. */
function inherited(): Record<string, string> {
  const names = ['PATH', 'HOME', 'DOCKER_HOST', 'DOCKER_RUNTIME', 'LANG'];
  return Object.fromEntries(
    names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );
}

/** A graphql-ws client of the gateway at this address. It does not retry. */
export function clientOf(url: string, token: string): Client {
  return createClient({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { 'X-Auth-Token': token },
    retryAttempts: 0,
  });
}

export async function postGraphql<Data>(
  url: string,
  token: string,
  query: string,
  variables: Readonly<Record<string, unknown>> = {},
): Promise<GraphqlAnswer<Data>> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Auth-Token': token },
    body: JSON.stringify({ query, variables }),
  });
  const body = (await response.json()) as Omit<GraphqlAnswer<Data>, 'status'>;
  return { ...body, status: response.status };
}
