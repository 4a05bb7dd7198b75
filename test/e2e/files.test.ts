/** Files of a session through GraphQL, with a real worker. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestGateway } from '../../testkit/gateway.ts';
import { execute, release } from '../../testkit/interpreter.ts';
import { createInstallation, type TestInstallation } from '../support/installation.ts';

let installation: TestInstallation;
let gateway: TestGateway;
beforeAll(async () => {
  installation = await createInstallation({ MIN_IDLE_WORKERS: '0', WORKER_DISK_MB: '32' });
  gateway = await installation.start();
});
afterAll(() => installation.destroy());

type Data = Record<string, unknown>;

/** @throws Error for an answer with errors */
async function ask(query: string, variables: Data = {}): Promise<Data> {
  const { data, errors } = await gateway.graphql<Data>(query, variables);
  if (errors || !data) throw new Error(JSON.stringify(errors));
  return data;
}

async function codeOf(query: string, variables: Data = {}): Promise<unknown> {
  const { errors } = await gateway.graphql<Data>(query, variables);
  return errors?.[0]?.extensions?.code;
}

const WRITE =
  'mutation ($input: WriteFileInput!) { writeFile(input: $input) { path name size type } }';
const write = (userUuid: string, path: string, content: Data, append = false) =>
  ask(WRITE, { input: { userUuid, path, content, append } });
const LIST = `query ($user: String!, $path: String, $depth: Int, $first: Int, $after: String) {
  files(userUuid: $user, path: $path, depth: $depth, first: $first, after: $after) {
    edges { cursor node { path type symlinkTarget } } pageInfo { hasNextPage endCursor } } }`;

interface Listing {
  readonly edges: { readonly cursor: string; readonly node: { readonly path: string } }[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
}
async function list(variables: Data): Promise<Listing> {
  return (await ask(LIST, variables)).files as Listing;
}
const pathsOf = ({ edges }: Listing) => edges.map(({ node }) => node.path);

describe('files over GraphQL', () => {
  it('do not exist without a session, and writing one opens a session', async () => {
    expect(await ask('{ file(userUuid: "new", path: "a") { size } }')).toEqual({ file: null });
    expect(await codeOf('{ files(userUuid: "new") { edges { cursor } } }')).toBe('NOT_FOUND');
    const move = 'mutation { moveFile(input: { userUuid: "new", from: "a", to: "b" }) { path } }';
    expect(await codeOf(move)).toBe('NOT_FOUND');
    const none = 'mutation { deleteFile(input: { userUuid: "new", path: "a" }) { deleted } }';
    expect(await ask(none)).toEqual({ deleteFile: { deleted: false } });
    expect(await ask('{ session(userUuid: "new") { id } }')).toEqual({ session: null });
    expect(await write('new', 'in/here/a.txt', { text: 'hé' })).toEqual({
      writeFile: { path: 'in/here/a.txt', name: 'a.txt', size: 3, type: 'FILE' },
    });
    const { stdout } = await execute(gateway, 'new', 'print(open("in/here/a.txt").read())');
    expect(stdout).toBe('hé\n');
    await release(gateway, 'new');
  });

  it('are written as bytes, appended to, and read as text only if they are UTF-8', async () => {
    const bytes = randomBytes(300_000);
    await write('ann', 'b.bin', { base64: bytes.toString('base64') });
    const query = '{ file(userUuid: "ann", path: "b.bin") { size text base64 } }';
    expect(await ask(query)).toEqual({
      file: { size: bytes.length, text: null, base64: bytes.toString('base64') },
    });
    await write('ann', 'log', { text: 'one\n' });
    await write('ann', 'log', { text: 'two\n' }, true);
    await write('ann', 'empty', { text: '' });
    expect(
      await ask(`{ log: file(userUuid: "ann", path: "log") { text }
        empty: file(userUuid: "ann", path: "/home/user/empty") { text size }
        home: file(userUuid: "ann", path: ".") { type size text base64 } }`),
    ).toEqual({
      log: { text: 'one\ntwo\n' },
      empty: { text: '', size: 0 },
      home: { type: 'DIRECTORY', size: null, text: null, base64: null },
    });
  });

  it('are refused as text if they exceed the limits', async () => {
    const read = (maxBytes: number) =>
      codeOf(`{ file(userUuid: "ann", path: "log") { text(maxBytes: ${maxBytes}) } }`);
    expect(await read(7)).toBe('FILE_TOO_LARGE');
    expect(await read(8)).toBeUndefined();
    expect(await read(-1)).toBe('BAD_USER_INPUT');
    expect(await read(1_048_577)).toBe('BAD_USER_INPUT');
    const input = { userUuid: 'ann', path: 'large', content: { text: 'x'.repeat(1_048_577) } };
    expect(await codeOf(WRITE, { input })).toBe('FILE_TOO_LARGE');
    expect(await ask('{ file(userUuid: "ann", path: "large") { size } }')).toEqual({ file: null });
  });

  it('are listed level by level and page by page, with links that are not followed', async () => {
    await execute(
      gateway,
      'ann',
      `import os
os.makedirs('tree/b/c')
for name in ('a', 'b/1', 'b/c/2', 'd'):
    open('tree/' + name, 'w').close()
os.symlink('b', 'tree/link')
open(b'tree/\\xff', 'w').close()`,
    );
    const all = ['tree/a', 'tree/b', 'tree/b/1', 'tree/b/c', 'tree/b/c/2', 'tree/d', 'tree/link'];
    const tree = { user: 'ann', path: 'tree' };
    const deep = await list({ ...tree, depth: 9 });
    expect(pathsOf(deep)).toEqual([...all, 'tree/\\xff']);
    expect(pathsOf(await list(tree))).toEqual([
      'tree/a',
      'tree/b',
      'tree/d',
      'tree/link',
      'tree/\\xff',
    ]);
    const first = await list({ ...tree, depth: 9, first: 3 });
    expect(first.pageInfo.hasNextPage).toBe(true);
    const rest = await list({ ...tree, depth: 9, after: first.pageInfo.endCursor });
    expect([...pathsOf(first), ...pathsOf(rest)]).toEqual(pathsOf(deep));
    const behind = await list({ ...tree, depth: 9, after: deep.edges[1]?.cursor });
    expect(pathsOf(behind)).toEqual(pathsOf(deep).slice(2));
    expect(deep.edges[6]?.node).toMatchObject({ type: 'SYMLINK', symlinkTarget: 'b' });
  });

  it('are moved and deleted, and a refused move changes nothing', async () => {
    const move = (from: string, to: string, overwrite = false) =>
      `mutation { moveFile(input: { userUuid: "ann", from: "${from}", to: "${to}", overwrite: ${overwrite} }) { path } }`;
    await write('ann', 'x', { text: 'x' });
    await write('ann', 'y', { text: 'y' });
    expect(await codeOf(move('x', 'y'))).toBe('FILE_EXISTS');
    expect(await codeOf(move('x', 'nowhere/y'))).toBe('FILE_NOT_FOUND');
    expect(await ask(move('x', 'y', true))).toEqual({ moveFile: { path: 'y' } });
    expect(await ask('{ file(userUuid: "ann", path: "y") { text } }')).toEqual({
      file: { text: 'x' },
    });
    const remove =
      'mutation { deleteFile(input: { userUuid: "ann", path: "tree" }) { deleted path } }';
    expect(await ask(remove)).toEqual({ deleteFile: { deleted: true, path: 'tree' } });
    expect(await ask(remove)).toEqual({ deleteFile: { deleted: false, path: 'tree' } });
  });

  it.each([
    ['/etc/passwd', 'FILE_ACCESS_DENIED'],
    ['/root/x', 'FILE_ACCESS_DENIED'],
    ['/proc/self/environ', 'FILE_ACCESS_DENIED'],
    ['log/below', 'NOT_A_DIRECTORY'],
    ['d', 'IS_A_DIRECTORY'],
  ])('%s cannot be written: %s', async (path, code) => {
    await ask('mutation { makeDirectory(input: { userUuid: "ann", path: "d" }) { type } }');
    expect(await codeOf(WRITE, { input: { userUuid: 'ann', path, content: { text: '' } } })).toBe(
      code,
    );
  });

  it('are read and written while a cell runs', async () => {
    await ask(
      `mutation { submit(input: { userUuid: "ann", code: "while True: pass", timeoutMs: 60000 }) { id } }`,
    );
    await write('ann', 'meanwhile', { text: 'yes' });
    expect(await ask('{ file(userUuid: "ann", path: "meanwhile") { text } }')).toEqual({
      file: { text: 'yes' },
    });
    await release(gateway, 'ann');
  });

  it('leave events and rows for the audit, without their content', async () => {
    const rows = await installation.sql`
      SELECT operation, path, outcome, size_bytes, sha256, error_code FROM audit.files
      WHERE source = 'api' AND user_uuid = 'ann' ORDER BY first_position`;
    expect(rows.find(({ path }) => path === 'meanwhile')).toMatchObject({
      operation: 'write',
      outcome: 'WRITTEN',
      sizeBytes: 3,
      sha256: '8a798890fe93817163b10b5f7bd2ca4d25d84c52739a645a889c173eee7d9d3d',
    });
    expect(rows).toContainEqual(
      expect.objectContaining({
        path: '/etc/passwd',
        outcome: 'FAILED',
        errorCode: 'FILE_ACCESS_DENIED',
      }),
    );
    expect(rows.filter(({ outcome }) => outcome === 'UNKNOWN')).toEqual([]);
    const [{ versions } = {}] = await installation.sql`
      SELECT max(version) AS versions FROM sessions WHERE user_uuid = 'ann'`;
    expect(versions).toBe(2);
  });
});
