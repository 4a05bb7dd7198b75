/**
 * Stands in for E2B's SDK for Python, which cannot be installed everywhere. It sends the same requests, with null for
 * values that were not given. It reads answers as strictly: the same keys must exist, and lines end as for
 * `str.splitlines`.
 */
import type { TestGateway } from '../../../testkit/gateway.ts';

type Fields = Readonly<Record<string, unknown>>;

/** What the SDK keeps of a sandbox. */
export interface PythonSandbox {
  readonly sandboxID: string;
  readonly envdAccessToken: string;
  readonly trafficAccessToken: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: unknown;
}

/** Where `str.splitlines` splits. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: Python splits at these, too
const LINE_ENDS = /\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/;
/** As `dateutil.parser.isoparse` takes it, with an offset. */
const ISO_DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)$/;
const FRAME_HEAD_BYTES = 5;
const END_FLAG = 2;

const SENT_WITH_ALL = {
  'User-Agent': 'e2b-python-sdk/2.63.0',
  'Accept-Encoding': 'identity',
};

export function createPythonWire({ url }: Pick<TestGateway, 'url'>, key: string) {
  const base = `${url}/e2b`;

  async function send(method: string, path: string, headers: Fields, body?: BodyInit) {
    const response = await fetch(`${base}${path}`, {
      method,
      headers: { ...SENT_WITH_ALL, ...(headers as Record<string, string>) },
      ...(body !== undefined && { body }),
    });
    return response;
  }

  const asJson = (body?: object) => (body === undefined ? undefined : JSON.stringify(body));
  const jsonHeaders = { 'Content-Type': 'application/json' };

  return {
    /** A call of the control plane. */
    control: async (method: string, path: string, body?: object) =>
      await answerOf(
        await send(
          method,
          path,
          { 'X-API-KEY': key, lang: 'python', publisher: 'e2b', ...(body && jsonHeaders) },
          asJson(body),
        ),
      ),
    /** A call of the code interpreter. Only `/execute` has the token of envd. */
    interpreter: async (
      sandbox: Partial<PythonSandbox>,
      method: string,
      path: string,
      body?: object,
    ) =>
      await answerOf(
        await send(
          method,
          path,
          {
            ...jsonHeaders,
            ...routing(sandbox, 49_999),
            ...(sandbox.trafficAccessToken && {
              'E2B-Traffic-Access-Token': sandbox.trafficAccessToken,
            }),
            ...(path === '/execute' && tokenOf(sandbox)),
          },
          asJson(body),
        ),
      ),
    unary: async (sandbox: PythonSandbox, method: string, body: object) =>
      await answerOf(
        await send(
          'POST',
          `/${method}`,
          {
            ...jsonHeaders,
            ...routing(sandbox, 49_983),
            ...tokenOf(sandbox),
            'Connect-Protocol-Version': '1',
            'Connect-Timeout-Ms': '60000',
          },
          asJson(body),
        ),
      ),
    /** A stream of envd, to its end: its messages, and what the last frame says. */
    stream: async (sandbox: PythonSandbox, method: string, body: object, more: Fields = {}) => {
      const response = await send(
        'POST',
        `/${method}`,
        {
          'Content-Type': 'application/connect+json',
          ...routing(sandbox, 49_983),
          ...tokenOf(sandbox),
          'Connect-Protocol-Version': '1',
          'Keepalive-Ping-Interval': '50',
          ...more,
        },
        frame(JSON.stringify(body)),
      );
      const bytes = new Uint8Array(await response.arrayBuffer());
      return { status: response.status, headers: response.headers, ...framesOf(bytes) };
    },
    file: async (sandbox: PythonSandbox, query: Fields, form?: FormData) =>
      await answerOf(
        await send(
          form ? 'POST' : 'GET',
          `/files?${new URLSearchParams(query as Record<string, string>)}`,
          { ...routing(sandbox, 49_983), ...tokenOf(sandbox) },
          form,
        ),
      ),
    health: async (sandbox: PythonSandbox) =>
      await answerOf(
        await send('GET', '/health', { ...routing(sandbox, 49_983), ...tokenOf(sandbox) }),
      ),
  };
}

function routing({ sandboxID }: Partial<PythonSandbox>, port: number): Record<string, string> {
  return { 'E2b-Sandbox-Id': sandboxID ?? '', 'E2b-Sandbox-Port': `${port}` };
}

function tokenOf({ envdAccessToken }: Partial<PythonSandbox>): Record<string, string> {
  return envdAccessToken === undefined ? {} : { 'X-Access-Token': envdAccessToken };
}

async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.startsWith('application/json') === true;
  return {
    status: response.status,
    headers: response.headers,
    text,
    json: isJson ? JSON.parse(text) : null,
  };
}

/** Takes these keys, like `d.pop(key)` in the SDK. @throws Error that names the first missing key */
export function popped<Key extends string>(from: unknown, ...keys: Key[]): Record<Key, unknown> {
  const fields = from as Fields;
  const missing = keys.find((key) => fields?.[key] === undefined);
  if (missing !== undefined) throw new Error(`KeyError: '${missing}'`);
  return fields as Record<Key, unknown>;
}

/** @throws Error if Python could not read it as a date */
export function isoparse(text: unknown): Date {
  if (typeof text !== 'string' || !ISO_DATE.test(text))
    throw new Error(`ValueError: ${String(text)}`);
  return new Date(text);
}

export function splitLines(text: string): string[] {
  const lines = text.split(LINE_ENDS);
  return lines.at(-1) === '' ? lines.slice(0, -1) : lines;
}

function frame(json: string): Uint8Array<ArrayBuffer> {
  const payload = Buffer.from(json);
  const framed = Buffer.alloc(FRAME_HEAD_BYTES + payload.length);
  framed.writeUInt32BE(payload.length, 1);
  payload.copy(framed, FRAME_HEAD_BYTES);
  return new Uint8Array(framed);
}

/** @throws Error if the frame with the end flag is missing, or other frames follow it */
function framesOf(bytes: Uint8Array): { messages: Fields[]; end: Fields } {
  const all = Buffer.from(bytes);
  const messages: Fields[] = [];
  for (let at = 0; at < all.length; ) {
    const end = at + FRAME_HEAD_BYTES + all.readUInt32BE(at + 1);
    const payload = JSON.parse(all.toString('utf8', at + FRAME_HEAD_BYTES, end)) as Fields;
    if (all[at] === END_FLAG) {
      if (end !== all.length) throw new Error('Frames follow the last one.');
      return { messages, end: payload };
    }
    messages.push(payload);
    at = end;
  }
  throw new Error('The stream has no last frame.');
}
