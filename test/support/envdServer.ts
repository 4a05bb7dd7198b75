/** The data plane of the E2B door behind the real server, without keys and sandboxes: every call is one of the session. */

import { errorAnswer } from '../../src/doors/e2b/answer.ts';
import type { SandboxCall } from '../../src/doors/e2b/sandbox.ts';
import { memoryService } from './memoryService.ts';
import { openSession } from './states.ts';
import { secretOf, testDoor, tokensFor } from './testDoor.ts';
import { startTransport } from './transportServer.ts';

export interface EnvdServer {
  readonly port: number;
  /** What was logged. */
  readonly log: readonly Record<string, unknown>[];
  /** How many answers were said to be streams. */
  streams(): number;
  ask(path: string, init?: RequestInit): Promise<Response>;
  /** Calls a unary method. */
  unary(name: string, message?: object, headers?: Record<string, string>): Promise<Answered>;
  /** Calls a method that streams, and resolves when the answer has begun. */
  stream(name: string, message?: object, headers?: Record<string, string>): Promise<Response>;
}

export interface Answered {
  readonly status: number;
  readonly type: string | null;
  readonly body: unknown;
}

/**
 * @param handle what is to be tested
 * @param parts what stands in for the service
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
  const { book: tokenCache } = tokensFor({ mine: 'mcp' });
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
export interface ReceivedFrame {
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
