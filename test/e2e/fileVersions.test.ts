/** Deleting only the version that a client knows, over HTTP and GraphQL, with a real worker. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TestGateway } from '../../testkit/gateway.ts';
import { execute } from '../../testkit/interpreter.ts';
import { askFiles, refusalIn } from '../support/fileClient.ts';
import { createInstallation, type TestInstallation } from '../support/installation.ts';

let installation: TestInstallation;
let gateway: TestGateway;
beforeAll(async () => {
  installation = await createInstallation({ MIN_IDLE_WORKERS: '0' });
  gateway = await installation.start();
});
afterAll(() => installation.destroy());

const put = (name: string, body: string, headers = {}) =>
  askFiles(gateway, { method: 'PUT', path: `ann/${name}`, body, headers });
const get = async (name: string) =>
  (await askFiles(gateway, { method: 'GET', path: `ann/${name}` })).body.toString();
const code = (python: string) => execute(gateway, 'ann', python);

/** Deletes over HTTP, and resolves with the status. */
async function remove(name: string, headers: Record<string, string>): Promise<number> {
  const answer = await askFiles(gateway, { method: 'DELETE', path: `ann/${name}`, headers });
  if (answer.status === 412) expect(refusalIn(answer).code).toBe('PRECONDITION_FAILED');
  return answer.status;
}

/** Deletes over GraphQL, and resolves with `deleted`, or the error's code. */
async function removeByGraphql(path: string, ifMatch: string): Promise<unknown> {
  const { data, errors } = await gateway.graphql<{ deleteFile: { deleted: boolean } }>(
    `mutation ($path: String!, $ifMatch: String) {
      deleteFile(input: { userUuid: "ann", path: $path, ifMatch: $ifMatch }) { deleted } }`,
    { path, ifMatch },
  );
  return data?.deleteFile.deleted ?? errors?.[0]?.extensions?.code;
}

/** The version of the file, folder or link itself, as `file` shows it. */
async function shown(path: string): Promise<string> {
  const query = 'query ($path: String!) { file(userUuid: "ann", path: $path) { etag } }';
  const { data } = await gateway.graphql<{ file: { etag: string } }>(query, { path });
  return String(data?.file.etag);
}

const written = async (name: string, body: string) => String((await put(name, body)).headers.etag);

it('a file is deleted only in a version that the call names', async () => {
  const first = await written('a', '1');
  const second = await written('a', '22');
  expect(await remove('a', { 'If-Match': first })).toBe(412);
  expect(await remove('a', { 'If-Match': '"x,*,y"' })).toBe(412);
  expect(await remove('a', { 'If-Match': `W/${second}` })).toBe(412);
  expect(await remove('a', { 'If-None-Match': second })).toBe(412);
  expect(await remove('a', { 'If-None-Match': '*' })).toBe(412);
  expect(await removeByGraphql('a', first)).toBe('PRECONDITION_FAILED');
  expect(await get('a')).toBe('22');
  expect(await remove('a', { 'If-Match': `"x", ${second}` })).toBe(204);
  // A file that does not exist has no other version: the answer is the same as without conditions.
  expect(await remove('a', { 'If-Match': second })).toBe(404);
  expect(await removeByGraphql('a', second)).toBe(false);
  const third = await written('a', '333');
  expect(await removeByGraphql('a', `${first}, ${third}`)).toBe(true);
  await put('a', '4');
  expect(await remove('a', { 'If-None-Match': third })).toBe(204);
  const [refused] = await installation.sql`
    SELECT outcome, error_code FROM audit.files WHERE path = 'a' AND operation = 'delete' ORDER BY first_position LIMIT 1`;
  expect(refused).toMatchObject({ outcome: 'FAILED', errorCode: 'PRECONDITION_FAILED' });
});

it('a folder is deleted only if nothing was added to it or taken away', async () => {
  await put('d/one', '1');
  const before = await shown('d');
  await put('d/two', '2');
  expect(await remove('d', { 'If-Match': before })).toBe(412);
  expect(await removeByGraphql('d', before)).toBe('PRECONDITION_FAILED');
  expect(await get('d/one')).toBe('1');
  expect(await remove('d', { 'If-Match': await shown('d') })).toBe(204);
});

it("a link is deleted if the call names its version or its target's, and the target stays", async () => {
  await put('target', 'x');
  await code('import os; os.symlink("target", "link")');
  const own = await shown('link');
  const head = await askFiles(gateway, { method: 'HEAD', path: 'ann/link' });
  expect(await remove('link', { 'If-Match': '"1-2"' })).toBe(412);
  expect(await remove('link', { 'If-None-Match': own })).toBe(412);
  expect(await remove('link', { 'If-Match': String(head.headers.etag) })).toBe(204);
  await code('os.symlink("target", "link")');
  expect(await removeByGraphql('link', own)).toBe('PRECONDITION_FAILED');
  expect(await removeByGraphql('link', await shown('link'))).toBe(true);
  expect(await get('target')).toBe('x');
  await code('os.symlink("nowhere", "link")');
  expect(await remove('link', { 'If-Match': '*' })).toBe(204);
  expect(await removeByGraphql('link', '*')).toBe(false);
});

it('a delete of a known version never deletes a version that is written at the same moment', async () => {
  const outcomes = new Set<string>();
  for (let round = 0; round < 40; round += 1) {
    const known = await written('raced', `old ${round}`);
    const [replaced, removed] = await Promise.all([
      put('raced', `new ${round}`),
      remove('raced', { 'If-Match': known }),
    ]);
    outcomes.add(`${removed} ${replaced.status}`);
    expect(await get('raced')).toBe(`new ${round}`);
  }
  // Either the delete came first (204 and 201), or the write did (412 and 200).
  for (const outcome of outcomes) expect(['204 201', '412 200']).toContain(outcome);
});
