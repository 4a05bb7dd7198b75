/** Reads the present state from the engine, the database, the gateways and the file system. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { RecordedEvent } from '../../src/domain/events.ts';
import type { Finish, Output } from '../../src/domain/output.ts';
import type { Client } from '../../src/events/connection/client.ts';
import { readAfter } from '../../src/events/store/readEvents.ts';
import type { QuotaName } from '../clients/operator.ts';
import { compact, type RestSnapshot, type StoredOutput, type WorkerProcesses } from '../history.ts';
import { containerProcesses } from './containerProcesses.ts';
import type { World } from './createWorld.ts';

const ANSWER_LIMIT_MS = 5_000;

export async function readRest(world: World): Promise<RestSnapshot> {
  const { sql } = world.postgres.client;
  const [containers, workers, contexts, unfinished, leases, connections] = await Promise.all([
    world.engine.docker.listContainers({ all: true, filters: { label: ['cellhouse.pool'] } }),
    sql<{ id: string }[]>`SELECT id FROM workers WHERE state <> 'REMOVED'`,
    sql<{ id: string }[]>`SELECT worker_id AS id FROM contexts WHERE ended_at IS NULL`,
    sql<{ id: string }[]>`SELECT id FROM executions WHERE finished_at IS NULL`,
    sql<{ name: string }[]>`SELECT name FROM leases WHERE expires_at > clock_timestamp()`,
    sql<{ name: string }[]>`SELECT application_name AS name FROM pg_stat_activity
      WHERE datname = current_database() AND application_name <> 'cellhouse chaos'`,
  ]);
  return {
    containers: containers.map(({ Labels }) => Labels['cellhouse.worker'] ?? '').sort(),
    workers: workers.map(({ id }) => id).sort(),
    unfinished: unfinished.map(({ id }) => id).sort(),
    leases: leases.map(({ name }) => name).sort(),
    connections: connections.map(({ name }) => name).sort(),
    waiting: await waitingCalls(world),
    images: await imagesOfNone(world),
    socketFolders: socketFolders(world.socketDir),
    processes: containers.flatMap(({ Id, Labels, State }) =>
      State === 'running' ? [processesOf(Id, Labels['cellhouse.worker'] ?? '', contexts)] : [],
    ),
  };
}

/** @param contexts the worker of each open context, besides the default ones */
function processesOf(
  containerId: string,
  workerId: string,
  contexts: readonly { readonly id: string }[],
): WorkerProcesses {
  const { ofUser, reapers, others, waiting } = containerProcesses(containerId);
  return {
    workerId,
    contexts: 1 + contexts.filter(({ id }) => id === workerId).length,
    ofUser: ofUser.length,
    reapers: reapers.length,
    strangers: others.length - waiting.length,
  };
}

async function imagesOfNone({ engine, postgres }: World): Promise<string[]> {
  const [built, versions] = await Promise.all([
    engine.docker.listImages({ filters: { label: ['cellhouse.image=environment'] } }),
    postgres.client.sql<{ imageId: string }[]>`
      SELECT image_id FROM environments WHERE removed_at IS NULL AND image_id IS NOT NULL`,
  ]);
  const owned = new Set(versions.map(({ imageId }) => imageId));
  return built.map(({ Id }) => Id).filter((id) => !owned.has(id));
}

/** Each gateway counts the calls at all gateways, but may learn a little late of those at the others. */
async function waitingCalls({ gateways, token }: World): Promise<number> {
  const running = gateways.filter(({ pid }) => pid !== null);
  const counts = running.map(async ({ url }) => {
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Auth-Token': token },
      body: JSON.stringify({ query: '{ poolStatus { waitingRequests } }' }),
      signal: AbortSignal.timeout(ANSWER_LIMIT_MS),
    });
    const body = (await response.json()) as { data: { poolStatus: { waitingRequests: number } } };
    return body.data.poolStatus.waitingRequests;
  });
  return Math.max(0, ...(await Promise.all(counts)));
}

/** The names of the socket folders, as ids with dashes like everywhere else. */
function socketFolders(socketDir: string): string[] {
  const pools = readdirSync(socketDir);
  const folders = pools.flatMap((pool) => readdirSync(join(socketDir, pool)));
  return folders
    .map((name) => name.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'))
    .sort();
}

// Reads all events, outputs and remaining secret input from the database, for the checker.

const PAGE = 2_000;

export async function readEvents(client: Client): Promise<RecordedEvent[]> {
  const events: RecordedEvent[] = [];
  for (;;) {
    const page = await readAfter(client, events.at(-1)?.position ?? 0, PAGE);
    if (page.length === 0) return events;
    events.push(...page);
  }
}

/** The transaction that inserted each event, by the event's position. */
export async function readTransactions({ sql }: Client): Promise<Record<number, string>> {
  const rows = await sql<{ position: number; id: string }[]>`
    SELECT position, xmin::text AS id FROM events`;
  return Object.fromEntries(rows.map(({ position, id }) => [position, id]));
}

/** Reads one execution at a time and drops the filler of loud ones, to save memory. */
export async function readOutputs(
  { sql }: Client,
  executionIds: readonly string[],
): Promise<StoredOutput[]> {
  const outputs: StoredOutput[] = [];
  for (const executionId of executionIds) {
    const rows = await sql<{ seq: number; body: Output | Finish }[]>`
      SELECT seq, body FROM output_events WHERE execution_id = ${executionId} ORDER BY seq`;
    outputs.push(...rows.map(({ seq, body }) => ({ executionId, seq, ...contentOf(body) })));
  }
  return outputs;
}

/** The executions that have secret input in the database. */
export async function readKeptInputs({ sql }: Client): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`
    SELECT DISTINCT execution_id AS id FROM execution_inputs`;
  return rows.map(({ id }) => id);
}

/** The quotas that do not follow the settings. */
export async function readSetQuotas({ sql }: Client): Promise<QuotaName[]> {
  return await sql<QuotaName[]>`SELECT kind, tenant, user_uuid FROM quotas WHERE is_set`;
}

function contentOf(body: Output | Finish): Pick<StoredOutput, 'kind' | 'text' | 'chars'> {
  if (body.kind === 'stream')
    return { kind: body.kind, text: compact(body.text), chars: body.text.length };
  const text = body.kind === 'gap' ? body.reason : '';
  return { kind: body.kind, text, chars: 0 };
}
