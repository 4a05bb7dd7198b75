/**
 * The file operations of a careful client. Each upload sends new content, so a download shows which upload it has read.
 * Repeating an operation is safe: a file then has the same content, or is gone, as after the first attempt.
 */
import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { FileAnswer, FileRecord } from '../history.ts';
import type { Random } from '../random.ts';
import { type Attempt, type ClientDeps, type Outcome, untilAnswered } from './attempts.ts';

/** Few names, so that uploads often replace a file that is being read. */
export const FILE_NAMES: readonly string[] = ['one.bin', 'two.bin', 'three.csv'];
/** Small enough for the smallest disk of a worker, where two of each file must fit. */
const MAX_FILE_BYTES = 600_000;
const CHUNK_BYTES = 65_536;
/** The pause between two chunks of a slow upload, so that faults hit an upload in its middle. */
const MAX_CHUNK_PAUSE_MS = 60;
const SLOW_SHARE = 0.5;
/** NO_SPACE is final: only the user can make room, and the user does nothing else during the call. */
const FINAL_CODES = ['BAD_USER_INPUT', 'NO_SPACE', 'UNAUTHENTICATED'];

export interface FilesDeps extends ClientDeps {
  readonly recordFile: (file: FileRecord) => void;
}

export interface Files {
  /** Uploads, downloads or deletes one of {@link FILE_NAMES}. Throws only if the signal is aborted. */
  act(user: string): Promise<void>;
  /** Lists the home. */
  list(user: string): Promise<void>;
}

const NOTHING: FileAnswer = { sha256: null, names: [] };

export function createFiles(deps: FilesDeps): Files {
  const { random } = deps;
  const acts = [
    { weight: 5, act: upload },
    { weight: 5, act: download },
    { weight: 1, act: remove },
  ];
  let made = 0;
  return {
    act: async (user) => {
      made += 1;
      const name = random.pick(FILE_NAMES) ?? '';
      await random.pickWeighted(acts)?.act(deps, user, name, made);
    },
    list: (user) => list(deps, user),
  };
}

async function upload(deps: FilesDeps, user: string, name: string, number: number): Promise<void> {
  const content = contentOf(`${user} ${number}`, deps.random);
  const pauseMs = deps.random.next() < SLOW_SHARE ? MAX_CHUNK_PAUSE_MS * deps.random.next() : 0;
  const sha256 = sha256Of(content);
  await keep(deps, { user, operation: 'upload', name, sha256 }, async (url, token, signal) => {
    const response = await ask(token, `${url}/files/${user}/${name}`, {
      method: 'PUT',
      body: chunksOf(content, pauseMs),
      duplex: 'half',
      signal,
    });
    return response.ok ? { answer: NOTHING } : await refusedOutcome(response);
  });
}

async function download(deps: FilesDeps, user: string, name: string): Promise<void> {
  await keep(
    deps,
    { user, operation: 'download', name, sha256: null },
    async (url, token, signal) => {
      const response = await ask(token, `${url}/files/${user}/${name}`, { signal });
      if (response.status === 404) {
        await response.arrayBuffer();
        return { answer: NOTHING };
      }
      if (!response.ok) return await refusedOutcome(response);
      const content = Buffer.from(await response.arrayBuffer());
      return { answer: { sha256: sha256Of(content), names: [] } };
    },
  );
}

async function remove(deps: FilesDeps, user: string, name: string): Promise<void> {
  await keep(
    deps,
    { user, operation: 'delete', name, sha256: null },
    async (url, token, signal) => {
      const response = await ask(token, `${url}/files/${user}/${name}`, {
        method: 'DELETE',
        signal,
      });
      if (!response.ok && response.status !== 404) return await refusedOutcome(response);
      await response.arrayBuffer();
      return { answer: NOTHING };
    },
  );
}

async function list(deps: FilesDeps, user: string): Promise<void> {
  await keep(
    deps,
    { user, operation: 'list', name: null, sha256: null },
    async (url, token, signal) => {
      const response = await fetch(`${url}/graphql`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', 'X-Auth-Token': token },
        body: JSON.stringify({
          query:
            'query List($user: String!) { files(userUuid: $user) { edges { node { name } } } }',
          variables: { user },
        }),
        signal,
      });
      const body = (await response.json()) as ListBody;
      const code = body.errors?.[0]?.extensions?.code;
      // The user has no session, and so no files.
      if (code === 'NOT_FOUND') return { answer: NOTHING };
      if (code) return FINAL_CODES.includes(code) ? { refusal: code } : { failure: code };
      if (!body.data) return { failure: `HTTP ${response.status}` };
      return {
        answer: { sha256: null, names: body.data.files.edges.map(({ node }) => node.name) },
      };
    },
  );
}

interface ListBody {
  readonly data?: { readonly files: { readonly edges: readonly Edge[] } } | null;
  readonly errors?: readonly { readonly extensions?: { readonly code?: string } }[];
}

interface Edge {
  readonly node: { readonly name: string };
}

async function keep(
  deps: FilesDeps,
  wish: Pick<FileRecord, 'user' | 'operation' | 'name' | 'sha256'>,
  attempt: Attempt<FileAnswer>,
): Promise<void> {
  deps.recordFile({ ...wish, ...(await untilAnswered(deps, attempt)) });
}

function ask(
  token: string,
  url: string,
  init: RequestInit & { readonly duplex?: 'half' },
): Promise<Response> {
  return fetch(url, { ...init, headers: { 'X-Auth-Token': token } });
}

async function refusedOutcome(response: Response): Promise<Outcome<never>> {
  const text = await response.text();
  const code = /"code":\s*"(\w+)"/.exec(text)?.[1];
  if (code === undefined) return { failure: `HTTP ${response.status}` };
  return FINAL_CODES.includes(code) ? { refusal: code } : { failure: code };
}

/** The title in a line of its own, and a random number of bytes. */
function contentOf(title: string, random: Random): Buffer {
  const content = Buffer.alloc(random.between(1, MAX_FILE_BYTES), `${random.next()},`);
  return Buffer.concat([Buffer.from(`${title}\n`), content]);
}

function chunksOf(content: Buffer, pauseMs: number): ReadableStream<Uint8Array> {
  let sent = 0;
  return new ReadableStream({
    pull: async (controller) => {
      if (pauseMs > 0) await delay(pauseMs);
      controller.enqueue(content.subarray(sent, sent + CHUNK_BYTES));
      sent += CHUNK_BYTES;
      if (sent >= content.length) controller.close();
    },
  });
}

function sha256Of(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
