/** The doors that the test of hostile callers goes through: a door gets all its cases by a row here. */
import type { ServedDoor } from '../../src/domain/token.ts';

export interface HostileRow {
  readonly door: ServedDoor;
  /** A request that would create something, if only its caller might come in. */
  readonly method: 'POST';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: object;
  /** How the door sends a token in a header. */
  readonly tokenHeader: (token: string) => Readonly<Record<string, string>>;
  /** What it answers without a token, and with a wrong one. */
  readonly missing: number;
  readonly wrong: number;
  /** What it answers to a body that is no JSON. */
  readonly malformed: number;
  /** If the door has WebSockets. */
  readonly sockets?: {
    /** The path of one to what the request above made, from its answer. */
    readonly path: (made: unknown) => string;
    /** The path of one to nothing. */
    readonly unknown: string;
    readonly protocol: string;
  };
}

export const HOSTILE_ROWS: readonly HostileRow[] = [
  {
    door: 'predecessor',
    method: 'POST',
    path: '/execute',
    body: { user_uuid: 'u', code: '1' },
    tokenHeader: (token) => ({ 'X-Auth-Token': token }),
    ...{ missing: 422, wrong: 401, malformed: 422 },
  },
  {
    door: 'mcp',
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
  {
    door: 'jupyter',
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
  {
    door: 'e2b',
    method: 'POST',
    path: '/e2b/v2/sandboxes',
    body: { templateID: 'base' },
    tokenHeader: (token) => ({ 'X-API-KEY': token }),
    ...{ missing: 401, wrong: 401, malformed: 400 },
  },
];
