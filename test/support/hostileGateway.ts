/** A gateway with all doors open, whose log a test reads, and the calls of its hostile callers. */
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { pino } from 'pino';
import { AUTH_TOKEN_HOLDER as OPERATOR } from '../../src/service/principal.ts';
import type { HostileRow } from './hostileDoors.ts';
import { useServiceGateways } from './serviceGateways.ts';

export const MAX_BODY_BYTES = 4_096;
export const AUTH_TOKEN = 'a-token-for-tests';
export const WRONG = `ch_${'A'.repeat(43)}`;

export interface Asked {
  readonly token?: string | null;
  /** In front of the path. */
  readonly prefix?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export async function useHostileGateway() {
  const log: string[] = [];
  const { db, start } = await useServiceGateways({
    DOORS: 'predecessor,mcp,jupyter,e2b',
    MAX_BODY_BYTES: String(MAX_BODY_BYTES),
    AUTH_FAILURES_PER_MINUTE: '1000',
  });
  const write = (line: string) => void log.push(line);
  const { service, server } = await start({ logger: pino({ level: 'trace' }, { write }) });
  const { port } = await server.listen();

  const create = async (door: string, expiresAt: Date | null = null) =>
    (await service.createToken(OPERATOR, { name: door, role: 'TENANT', door, expiresAt })).secret;
  const [predecessor, mcp] = [await create('predecessor'), await create('mcp')];
  const secrets = {
    predecessor,
    mcp,
    jupyter: await create('jupyter'),
    e2b: await create('e2b'),
    files: await create('files'),
  };

  /** What the door answers to the row's request, changed as asked. */
  async function ask(row: HostileRow, { token = null, prefix = '', headers, body }: Asked) {
    const sent = request({
      ...{ port, method: row.method, path: `${prefix}${row.path}`, agent: false },
      headers: {
        'Content-Type': 'application/json',
        ...row.headers,
        ...(token !== null && row.tokenHeader(token)),
        ...headers,
      },
    });
    sent.end(body ?? JSON.stringify(row.body));
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    return { status: answer.statusCode, text: await text(answer) };
  }

  /** Whatever a caller could create. */
  async function created(): Promise<unknown> {
    const [counts] = await db.sql`
      SELECT (SELECT count(*) FROM sessions) AS sessions, (SELECT count(*) FROM executions) AS executions,
        (SELECT count(*) FROM contexts) AS contexts, (SELECT count(*) FROM tokens) AS tokens`;
    return counts;
  }

  return { port, log, secrets, create, created, ask };
}
