import { request } from 'node:http';
import { createInterface } from 'node:readline';
import { SetupError } from './setupError.mjs';

/** A local engine answers a small request within milliseconds, unless it is stuck. */
const QUESTION_TIMEOUT_MS = 10_000;
/** The engine answers only after it has deleted the image's files, which takes long on a busy disk. */
const REMOVAL_TIMEOUT_MS = 300_000;

/**
 * The path of the engine's socket, from DOCKER_HOST or Docker's default.
 * @throws SetupError for an engine on another machine, because workers are reached over sockets in local folders
 */
export function engineSocket() {
  const host = process.env.DOCKER_HOST || 'unix:///var/run/docker.sock';
  if (host.startsWith('unix:///')) return host.slice('unix://'.length);
  throw new SetupError(
    `DOCKER_HOST is ${host}, but must be unix:// and an absolute path: workers are reached over sockets of this machine.`,
  );
}

/**
 * Gets JSON from the engine. Null if it answers 404.
 * @param {string} path e.g. `/images/json`
 */
export async function ask(path) {
  const response = await send({ method: 'GET', path, timeout: QUESTION_TIMEOUT_MS });
  const text = await textOf(response);
  if (response.statusCode === 404) return null;
  if (response.statusCode !== 200) throw refusal(path, response, text);
  return JSON.parse(text);
}

/**
 * Removes an object of the engine. Does not fail if the object is already gone (404) or in use again (409).
 * @param {string} path e.g. `/images/name:tag`
 */
export async function remove(path) {
  const response = await send({ method: 'DELETE', path, timeout: REMOVAL_TIMEOUT_MS });
  const text = await textOf(response);
  if (![200, 204, 404, 409].includes(response.statusCode)) throw refusal(path, response, text);
}

/**
 * Gives an image a name, which may be one that it already has. The engine records the time in both cases.
 * @param {string} image @param {string} name `name:tag`
 */
export async function giveName(image, name) {
  const [repo, tag] = name.split(':');
  const path = `/images/${image}/tag?${new URLSearchParams({ repo, tag })}`;
  const response = await send({ method: 'POST', path, timeout: QUESTION_TIMEOUT_MS });
  const text = await textOf(response);
  if (response.statusCode !== 201) throw refusal(path, response, text);
}

/**
 * Why no engine answers: an error code such as `ENOENT`, `ECONNREFUSED`, `EACCES`. Null: an engine answers.
 * @returns {Promise<string | null>}
 */
export async function whyNoEngine() {
  try {
    const response = await send({ method: 'GET', path: '/_ping', timeout: QUESTION_TIMEOUT_MS });
    const text = await textOf(response);
    return response.statusCode === 200 ? null : `HTTP ${response.statusCode}: ${text.trim()}`;
  } catch (e) {
    if (e instanceof SetupError) throw e;
    return e.code ?? e.message;
  }
}

/**
 * Runs a task on the engine that reports its progress line by line (a build, an import, a pull).
 * @param {{ path: string, body?: NodeJS.ReadableStream, signal?: AbortSignal, onLine?: (line: string) => void }} task
 * @throws SetupError with the engine's messages
 */
export async function runTask({ path, body, signal, onLine }) {
  const headers = body === undefined ? {} : { 'Content-Type': 'application/x-tar' };
  const response = await send({ method: 'POST', path, headers, signal }, body);
  if (response.statusCode !== 200) throw refusal(path, response, await textOf(response));
  const said = [];
  for await (const line of createInterface({ input: response })) {
    const message = JSON.parse(line);
    const text = (message.stream ?? message.status ?? message.error ?? '').trimEnd();
    if (message.error)
      throw new SetupError([...said.slice(-REPORTED_LINES), message.error].join('\n'));
    if (text === '' || message.progressDetail?.total) continue;
    said.push(text);
    onLine?.(text);
  }
}

/** How many lines of progress before a failure are reported. */
const REPORTED_LINES = 30;

function send(options, body) {
  return new Promise((resolve, reject) => {
    // Node's shared agent would close a connection that is silent for 5 s, as during a long build.
    const sent = request({ ...options, socketPath: engineSocket(), agent: false }, resolve);
    sent.on('timeout', () => sent.destroy(new Error('no answer')));
    sent.on('error', reject);
    if (body === undefined) return sent.end();
    body.on('error', (e) => sent.destroy(e));
    body.pipe(sent);
  });
}

async function textOf(response) {
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return text;
}

function refusal(path, response, text) {
  return new SetupError(
    `The Docker engine refused ${path} (HTTP ${response.statusCode}): ${text.trim()}`,
  );
}
