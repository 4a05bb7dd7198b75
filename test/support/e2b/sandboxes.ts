/** A sandbox at two gateways in the test's process, with a real worker, and calls as a client of E2B sends them. */
import { newSandboxId, userOf } from '../../../src/doors/e2b/sandbox.ts';
import { AUTH_TOKEN_BY_DOOR } from '../../../src/service/principal.ts';
import { useRealService } from '../serviceGateways.ts';

const OWNER = AUTH_TOKEN_BY_DOOR.e2b;

/** A line of the answer to `/execute`. */
export type Line = Readonly<Record<string, unknown>>;

export interface Sandbox {
  readonly id: string;
  readonly userUuid: string;
  /** The access token of its clients. */
  readonly key: string;
  /** Sends a request to envd, at the gateway of this number. */
  envd(at: number, path: string, init?: RequestInit): Promise<Response>;
  /** Sends a request to the interpreter, at the gateway of this number. */
  call(
    at: number,
    method: string,
    path: string,
    body?: unknown,
    signal?: AbortSignal,
  ): Promise<Response>;
  /** Runs code; resolves with the lines of the answer. @throws if the connection breaks off */
  run(body: object, at?: number): Promise<Line[]>;
  kill(): Promise<void>;
}

/** @param settings in addition to those of every test with a worker */
export async function useSandboxes(settings: Readonly<Record<string, string>> = {}) {
  const { gateways } = await useRealService(2, { DOORS: 'e2b', ...settings });
  const [gateway] = gateways;
  if (!gateway) throw new Error('There is no gateway.');
  const { service } = gateway;
  const origins = await Promise.all(
    gateways.map(async ({ server }) => `http://127.0.0.1:${(await server.listen()).port}`),
  );

  async function open(variables: Readonly<Record<string, string>> = {}): Promise<Sandbox> {
    const id = newSandboxId();
    const userUuid = userOf(OWNER, id);
    const environmentVariables = Object.entries(variables).map(([name, value]) => ({
      name,
      value,
    }));
    await service.openSession(OWNER, { userUuid, environmentVariables });
    const key = await service.sessionKey(OWNER, userUuid);
    const headers = { 'E2b-Sandbox-Id': id, 'E2b-Sandbox-Port': '49999', 'X-Access-Token': key };
    const call: Sandbox['call'] = (at, method, path, body, signal) =>
      fetch(`${origins[at]}/e2b${path}`, {
        method,
        headers: { ...headers, 'Content-Type': 'application/json' },
        body: body === undefined ? null : JSON.stringify(body),
        ...(signal && { signal }),
      });
    const envdHeaders = { 'E2b-Sandbox-Id': id, 'X-Access-Token': key };
    return {
      ...{ id, userUuid, key },
      envd: (at, path, init = {}) =>
        fetch(`${origins[at]}/e2b${path}`, {
          ...init,
          headers: { ...envdHeaders, ...(init.headers as Record<string, string>) },
        }),
      call,
      run: async (body, at = 0) => linesOf(await call(at, 'POST', '/execute', body)),
      kill: async () => {
        await service.release(OWNER, userUuid);
      },
    };
  }
  /** Stops the server of the gateway of this number, for good. */
  const stop = async (at: number) => {
    await gateways[at]?.server.close(new AbortController().signal);
  };
  return { service, owner: OWNER, origins, open, stop };
}

async function linesOf(response: Response): Promise<Line[]> {
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${response.status} ${text}`);
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
}
