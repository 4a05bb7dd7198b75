/** Reads all events and outputs, and what is left of secret input, from the database, for the checker. */

import type { RecordedEvent } from '../../src/domain/events.ts';
import type { Finish, Output } from '../../src/domain/output.ts';
import type { Client } from '../../src/events/connection/client.ts';
import { readAfter } from '../../src/events/store/readEvents.ts';
import type { QuotaName } from '../clients/operator.ts';
import { compact, type StoredOutput } from '../history.ts';

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
