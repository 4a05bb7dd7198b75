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
];
