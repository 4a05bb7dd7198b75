/** Several gateways of one installation, with exactly the settings that docs/run/gateways.md asks for. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import {
  createClient,
  type DatabaseAddress,
  type Sql,
} from '../../src/events/connection/client.ts';
import type { BuiltRelease } from '../../testkit/formerRelease.ts';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { makeDatabase } from '../../testkit/sharedServer.ts';
import { until } from '../../testkit/until.ts';

const PAGE = readFileSync(new URL('../../docs/run/gateways.md', import.meta.url), 'utf8');

export interface TestInstallation {
  /** Starts one more gateway, of this release or another. Resolves when it serves. */
  start(settings?: Readonly<Record<string, string>>, release?: BuiltRelease): Promise<TestGateway>;
  /** The address of the database, for a test that puts a proxy in front of it. */
  readonly address: DatabaseAddress;
  /** Queries the database directly, without a gateway. Columns are in camelCase. */
  readonly sql: Sql;
  /** The gateway that holds the lease of this name now. @throws Error if none of those started here does */
  holderOf(lease: string): Promise<TestGateway>;
  /** The gateway that acts for the user's session. */
  holderOfUser(userUuid: string): Promise<TestGateway>;
  /** Ends the whole installation. */
  destroy(): Promise<void>;
}

/** @param options.hasTables false: the first gateway makes the tables, so it may be of another release */
export async function createInstallation(
  settings: Readonly<Record<string, string>> = {},
  options: { readonly hasTables?: boolean } = {},
): Promise<TestInstallation> {
  const root = mkdtempSync(join(tmpdir(), 'ch-many-'));
  const database = await makeDatabase(options);
  if (database === null) throw new Error('No server was prepared (provideCluster.ts).');
  const { address, url } = database;
  const client = createClient(address, { name: 'test', maxConnections: 2 });
  const { sql } = client;
  const shared = {
    ...sharedSettings({ DATABASE_URL: url, AUTH_TOKEN: 'of-all' }),
    SOCKET_DIR: join(root, 's'),
  };
  const gateways: TestGateway[] = [];

  async function holderOf(lease: string): Promise<TestGateway> {
    return await until(`a holder of ${lease}`, async () => {
      const [row] = await sql<{ holder: string }[]>`
        SELECT holder FROM leases WHERE name = ${lease} AND expires_at > clock_timestamp()`;
      return gateways.find((gateway) => gatewayIdOf(gateway) === row?.holder);
    });
  }

  return {
    address,
    sql,
    start: async (more = {}, release) => {
      const gateway = await startTestGateway({ ...shared, ...settings, ...more }, release);
      gateways.push(gateway);
      return gateway;
    },
    holderOf,
    holderOfUser: async (userUuid) => {
      const [session] = await sql<{ workerId: string }[]>`
        SELECT worker_id FROM sessions WHERE user_uuid = ${userUuid} AND closed_at IS NULL`;
      return await holderOf(`worker-${session?.workerId}`);
    },
    destroy: async () => {
      // All at the same time: a live gateway would take over the work of a killed one.
      await Promise.all(gateways.map((gateway) => gateway.kill('SIGKILL')));
      for (const gateway of gateways) await gateway.destroy();
      await client.close(1_000);
      await database.drop();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** The settings that all gateways must share, by docs/run/gateways.md. @throws Error if page and tests do not agree */
function sharedSettings(values: Readonly<Record<string, string>>): Record<string, string> {
  const shared = [...PAGE.matchAll(/^export (\w+)=/gm)].map(([, name = '']) => name);
  const own = [...PAGE.matchAll(/^DATA_DIR=\S+ PORT=\d+ npm start$/gm)];
  if (shared.length === 0 || own.length < 2)
    throw new Error('docs/run/gateways.md starts several gateways in another way than the tests.');
  return Object.fromEntries(shared.map((name) => [name, sharedValue(values, name)]));
}

function sharedValue(values: Readonly<Record<string, string>>, name: string): string {
  const value = values[name];
  if (value === undefined)
    throw new Error(`By docs/run/gateways.md, gateways share ${name}. In the tests they do not.`);
  return value;
}

export function gatewayIdOf({ dataDir }: TestGateway): string {
  return readFileSync(join(dataDir, 'gateway-id'), 'utf8').trim();
}

// Two real gateways of one installation, with real workers, for the tests of the file that asks for them. Each
// test has a user of its own.

const MAX_USER_CHARS = 100;

export let installation: TestInstallation;
export let gateways: readonly [TestGateway, TestGateway];
/** The first of the two. */
export let gateway: TestGateway;
export let other: TestGateway;
/** The user of the present test. */
export let user: string;

/** Starts both gateways before the tests of the file that calls this, and ends them afterwards. */
export function useTwoRealGateways(): void {
  beforeAll(async () => {
    installation = await createInstallation({ MIN_IDLE_WORKERS: '0' });
    gateways = [await installation.start(), await installation.start()];
    [gateway, other] = gateways;
  });
  afterAll(() => installation.destroy());
  beforeEach(({ task }) => {
    user = task.name.slice(0, MAX_USER_CHARS);
  });
}
