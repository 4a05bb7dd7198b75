/** The data plane of the E2B door behind the real server. Every call belongs to the same session, without keys. */
import {
  errorAnswer,
  newSandboxId,
  type SandboxCall,
  userOf,
} from '../../../src/doors/e2b/sandbox.ts';
import { AUTH_TOKEN_BY_DOOR } from '../../../src/service/principal.ts';
import { memoryService } from '../memoryService.ts';
import { useRealService } from '../serviceGateways.ts';
import { openSession } from '../states.ts';
import { secretOf, testDoor, tokensFor } from '../testDoor.ts';
import { startTransport } from '../transportServer.ts';

interface EnvdServer {
  readonly port: number;
  /** What was logged. */
  readonly log: readonly Record<string, unknown>[];
  /** How many answers the door has announced as streams. */
  streams(): number;
  ask(path: string, init?: RequestInit): Promise<Response>;
  /** Calls a unary method. */
  unary(name: string, message?: object, headers?: Record<string, string>): Promise<Answered>;
  /** Calls a method that streams, and resolves when the answer has begun. */
  stream(name: string, message?: object, headers?: Record<string, string>): Promise<Response>;
}

interface Answered {
  readonly status: number;
  readonly type: string | null;
  readonly body: unknown;
}

/**
 * @param handle the handler under test
 * @param facts replace parts of each call
 * @param parts operations that stand in for those of the service
 */
export async function startEnvd(
  handle: (call: SandboxCall) => Promise<void>,
  facts: Partial<SandboxCall> = {},
  parts: Parameters<typeof memoryService>[0] = {},
): Promise<EnvdServer> {
  let streams = 0;
  const door = Object.assign(testDoor(), { refuse: errorAnswer });
  const session = openSession();
  door.answer = (call) =>
    handle({
      call,
      ...{ sandboxId: 'i1', userUuid: session.userUuid, session, isSigned: false },
      hasEnded: async () => false,
      onStream: () => {
        streams += 1;
        call.onStream();
      },
      ...facts,
    });
  const { tokenCache } = tokensFor({ mine: 'mcp' });
  const { origin, port, log } = await startTransport(memoryService(parts), {
    doors: [door],
    tokenCache,
  });
  const ask = (path: string, init: RequestInit = {}) => {
    const headers = { 'X-Api-Key': secretOf('mine'), ...(init.headers as Record<string, string>) };
    return fetch(`${origin}/here${path}`, { ...init, headers });
  };
  const post = (name: string, type: string, body: BodyInit, headers: Record<string, string>) =>
    ask(`/${name}`, { method: 'POST', body, headers: { 'Content-Type': type, ...headers } });
  return {
    ...{ port, log, ask },
    streams: () => streams,
    unary: async (name, message = {}, headers = {}) => {
      const answer = await post(name, 'application/json', JSON.stringify(message), headers);
      const text = await answer.text();
      const body: unknown = text === '' ? null : JSON.parse(text);
      return { status: answer.status, type: answer.headers.get('content-type'), body };
    },
    stream: (name, message = {}, headers = {}) =>
      post(name, 'application/connect+json', frameOf(message), headers),
  };
}

/** A message as clients frame it. */
export function frameOf(message: object, flags = 0): Uint8Array<ArrayBuffer> {
  const json = new TextEncoder().encode(JSON.stringify(message));
  const frame = new Uint8Array(5 + json.length);
  new DataView(frame.buffer).setUint8(0, flags);
  new DataView(frame.buffer).setUint32(1, json.length);
  frame.set(json, 5);
  return frame;
}

/** One frame of an answer. `flags` is 2 for the last one. */
interface ReceivedFrame {
  readonly flags: number;
  readonly message: unknown;
}

/** The frames of an answer, one by one. Fails if the answer breaks off, or ends within a frame. */
export async function* framesOf({ body }: Response): AsyncGenerator<ReceivedFrame> {
  let rest = Buffer.alloc(0);
  for await (const piece of body ?? []) {
    rest = Buffer.concat([rest, piece]);
    while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
      const end = 5 + rest.readUInt32BE(1);
      yield { flags: rest.readUInt8(0), message: JSON.parse(String(rest.subarray(5, end))) };
      rest = rest.subarray(end);
    }
  }
  if (rest.length > 0) throw new Error('The answer ends within a frame.');
}

/** All frames of an answer. */
export async function allFrames(answer: Response): Promise<ReceivedFrame[]> {
  const frames: ReceivedFrame[] = [];
  for await (const frame of framesOf(answer)) frames.push(frame);
  return frames;
}

// Processes in a sandbox at two gateways in the process of the test, with a real worker, as raw calls of envd.

const OWNER = AUTH_TOKEN_BY_DOOR.e2b;
const SHELL = { cmd: '/bin/bash', args: ['-l', '-c'] };

/** One event in the stream of a process. */
export interface ProcessEvent {
  readonly start?: { readonly pid: number };
  readonly data?: Readonly<Record<string, string>>;
  readonly end?: Readonly<Record<string, unknown>>;
  readonly keepalive?: object;
  /** The error of the last frame. */
  readonly error?: { readonly code: string; readonly message: string };
}

/** A stream of events, which the test reads at its own pace. */
interface Watched {
  readonly pid: number;
  /** The next events, up to and including the first for which this is true. */
  until(isLast: (event: ProcessEvent) => boolean): Promise<ProcessEvent[]>;
  /** All remaining events. Fails if the answer breaks off. */
  rest(): Promise<ProcessEvent[]>;
  /** Disconnects. */
  leave(): void;
}

export async function useProcesses() {
  const { gateways } = await useRealService(2, { DOORS: 'e2b' });
  const [gateway] = gateways;
  if (!gateway) throw new Error('There are two gateways.');
  const { service } = gateway;
  const origins = await Promise.all(
    gateways.map(async ({ server }) => `http://127.0.0.1:${(await server.listen()).port}`),
  );

  async function open(variables: Readonly<Record<string, string>> = {}) {
    const id = newSandboxId();
    const userUuid = userOf(OWNER, id);
    const given = Object.entries(variables).map(([name, value]) => ({ name, value }));
    await service.openSession(OWNER, { userUuid, environmentVariables: given });
    const key = await service.sessionKey(OWNER, userUuid);
    const headers = { 'E2b-Sandbox-Id': id, 'X-Access-Token': key };

    function post(at: number, name: string, type: string, body: BodyInit, more: RequestInit = {}) {
      return fetch(`${origins[at]}/e2b/process.Process/${name}`, {
        method: 'POST',
        body,
        signal: more.signal ?? null,
        headers: { ...headers, 'Content-Type': type, ...(more.headers as Record<string, string>) },
      });
    }

    async function call(at: number, name: string, message: object = {}) {
      const answer = await post(at, name, 'application/json', JSON.stringify(message));
      const body: unknown = await answer.json();
      return answer.status === 200 ? body : { status: answer.status, ...(body as object) };
    }

    async function stream(
      at: number,
      name: string,
      message: object,
      more: Record<string, string> = {},
    ): Promise<Watched> {
      const gone = new AbortController();
      const type = 'application/connect+json';
      const init = { headers: more, signal: gone.signal };
      const frames = eventsOf(await post(at, name, type, frameOf(message), init));
      const { value: first } = await frames.next();
      if (!first?.start) throw new Error(JSON.stringify(first));
      async function until(isLast: (event: ProcessEvent) => boolean) {
        const seen: ProcessEvent[] = [];
        for (;;) {
          const { value, done } = await frames.next();
          if (done) throw new Error(`The stream has ended: ${JSON.stringify(seen)}`);
          seen.push(value);
          if (isLast(value)) return seen;
        }
      }
      async function rest() {
        const seen: ProcessEvent[] = [];
        for await (const event of frames) seen.push(event);
        return seen;
      }
      const { pid } = first.start;
      return { pid, until, rest, leave: () => gone.abort() };
    }

    /** Starts code in a shell. */
    const shell = (at: number, code: string, more: object = {}, sent = {}) => {
      const { process = {}, ...beside } = more as { process?: object };
      const asked = { ...SHELL, args: [...SHELL.args, code], ...process };
      return stream(at, 'Start', { process: asked, stdin: false, ...beside }, sent);
    };
    /** The error with which a start is refused. */
    const refused = async (at: number, message: object) => {
      const type = 'application/connect+json';
      const frames = await allFrames(await post(at, 'Start', type, frameOf(message)));
      return (frames.at(-1)?.message as { error?: object } | undefined)?.error;
    };
    const kill = () => service.release(OWNER, userUuid);
    return { id, userUuid, call, stream, shell, refused, kill };
  }
  return { service, owner: OWNER, open };
}

async function* eventsOf(answer: Response): AsyncGenerator<ProcessEvent> {
  for await (const { flags, message } of framesOf(answer)) {
    if (flags === 0) yield (message as { event: ProcessEvent }).event;
    else if ((message as ProcessEvent).error) yield message as ProcessEvent;
  }
}

/** What was written to one of the outputs, as text. */
export function textOf(events: readonly ProcessEvent[], name = 'stdout'): string {
  return Buffer.concat(
    events.map(({ data }) => Buffer.from(data?.[name] ?? '', 'base64')),
  ).toString();
}
