/** The doors in the test of hostile callers. A door with a row here gets all cases of that test. */

import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { pino } from 'pino';
import { SERVED_DOORS, type ServedDoor } from '../../src/domain/token.ts';
import { AUTH_TOKEN_HOLDER as OPERATOR } from '../../src/service/principal.ts';
import { useServiceGateways } from './serviceGateways.ts';

export interface HostileRow {
  readonly door: ServedDoor;
  /** A request that would create something if its caller were let in. */
  readonly method: 'POST';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: object;
  /** How the door sends a token in a header. */
  readonly tokenHeader: (token: string) => Readonly<Record<string, string>>;
  /** The status of the answer without a token, and with a wrong one. */
  readonly missing: number;
  readonly wrong: number;
  /** The status of the answer to a body that is not JSON. */
  readonly malformed: number;
  /** If the door has WebSockets. */
  readonly sockets?: {
    /** The path of a WebSocket to what the request above has made. `made` is the answer to that request. */
    readonly path: (made: unknown) => string;
    /** The path of a WebSocket to a thing that does not exist. */
    readonly unknown: string;
    readonly protocol: string;
  };
}

const ROWS: Readonly<Record<ServedDoor, Omit<HostileRow, 'door'>>> = {
  predecessor: {
    method: 'POST',
    path: '/execute',
    body: { user_uuid: 'u', code: '1' },
    tokenHeader: (token) => ({ 'X-Auth-Token': token }),
    ...{ missing: 422, wrong: 401, malformed: 422 },
  },
  mcp: {
    method: 'POST',
    path: '/mcp',
    headers: { Accept: 'application/json, text/event-stream' },
    body: {
      ...{ jsonrpc: '2.0', id: 1, method: 'tools/call' },
      params: { name: 'execute_code', arguments: { code: '1' } },
    },
    tokenHeader: (token) => ({ Authorization: `Bearer ${token}` }),
    ...{ missing: 401, wrong: 401, malformed: 400 },
  },
  jupyter: {
    method: 'POST',
    path: '/api/kernels',
    body: {},
    tokenHeader: (token) => ({ Authorization: `token ${token}` }),
    ...{ missing: 403, wrong: 403, malformed: 400 },
    sockets: {
      path: (made) => `/api/kernels/${(made as { id: string }).id}/channels`,
      unknown: '/api/kernels/01890000-0000-7000-8000-000000000000/channels',
      protocol: 'v1.kernel.websocket.jupyter.org',
    },
  },
  e2b: {
    method: 'POST',
    path: '/e2b/v2/sandboxes',
    body: { templateID: 'base' },
    tokenHeader: (token) => ({ 'X-API-KEY': token }),
    ...{ missing: 401, wrong: 401, malformed: 400 },
  },
};

export const HOSTILE_ROWS: readonly HostileRow[] = SERVED_DOORS.map((door) => ({
  door,
  ...ROWS[door],
}));

// A gateway with all doors open, whose log a test reads, and the calls of its hostile callers.

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
    DOORS: SERVED_DOORS.join(','),
    MAX_BODY_BYTES: String(MAX_BODY_BYTES),
    AUTH_FAILURES_PER_MINUTE: '1000',
  });
  const write = (line: string) => void log.push(line);
  const { service, server } = await start({ logger: pino({ level: 'trace' }, { write }) });
  const { port } = await server.listen();

  const create = async (door: string, expiresAt: Date | null = null) =>
    (await service.createToken(OPERATOR, { name: door, role: 'TENANT', door, expiresAt })).secret;
  const doors = [...SERVED_DOORS, 'files'] as const;
  const made = await Promise.all(doors.map(async (door) => [door, await create(door)] as const));
  const secrets = Object.fromEntries(made) as Record<(typeof doors)[number], string>;

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

  /** How many sessions, executions, contexts and tokens there are. */
  async function created(): Promise<unknown> {
    const [counts] = await db.sql`
      SELECT (SELECT count(*) FROM sessions) AS sessions, (SELECT count(*) FROM executions) AS executions,
        (SELECT count(*) FROM contexts) AS contexts, (SELECT count(*) FROM tokens) AS tokens`;
    return counts;
  }

  return { port, log, secrets, create, created, ask };
}
