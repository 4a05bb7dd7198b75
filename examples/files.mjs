/** Puts a table into a session, makes a chart of it, and gets that: `node examples/files.mjs [TABLE.csv [CHART.png]]`. */
import {
  createReadStream,
  createWriteStream,
  mkdtempSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

const url = process.env.CELLHOUSE_URL ?? 'http://127.0.0.1:3874';
const token = process.env.CELLHOUSE_TOKEN ?? readFileSync('.cellhouse/auth-token', 'utf8').trim();
const userUuid = 'node';

const EXECUTE = `mutation ($input: ExecuteInput!) {
  execute(input: $input) { status error { name value } files { changes { change path size } reason } }
}`;
const RELEASE = 'mutation ($input: ReleaseInput!) { release(input: $input) { released } }';
const CODE = `import pandas as pd
pd.read_csv('table.csv').plot().figure.savefig('chart.png')
`;

async function call(path, options = {}) {
  const headers = { 'X-Auth-Token': token, ...options.headers };
  const response = await fetch(url + path, { ...options, headers });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response;
}

async function graphql(query, variables) {
  const headers = { 'Content-Type': 'application/json' };
  const body = JSON.stringify({ query, variables });
  const { data, errors } = await (await call('/graphql', { method: 'POST', headers, body })).json();
  if (errors) throw new Error(errors.map(({ message }) => message).join('\n'));
  return data;
}

/** The path of a file of the session. It is relative to the home. */
const pathOf = (path) => `/files/${userUuid}/${path.split('/').map(encodeURIComponent).join('/')}`;

/** Sends a file of this machine as it is read, however large it is. */
async function upload(local, path) {
  // A body that is a stream needs `duplex`.
  const body = Readable.toWeb(createReadStream(local));
  await call(pathOf(path), { method: 'PUT', body, duplex: 'half' });
}

/** Writes a file of the session to this machine as it comes. */
async function download(path, local) {
  const { body } = await call(pathOf(path));
  await pipeline(Readable.fromWeb(body), createWriteStream(local));
}

function sampleTable() {
  const file = join(mkdtempSync(join(tmpdir(), 'cellhouse-table-')), 'table.csv');
  writeFileSync(file, 'tea,cake\n3,4\n5,2\n4,6\n');
  return file;
}

const [, , table = sampleTable(), chart = 'chart.png'] = process.argv;
await upload(table, 'table.csv');
const { execute } = await graphql(EXECUTE, { input: { userUuid, code: CODE, timeoutMs: 60_000 } });
if (execute.error) throw new Error(`${execute.error.name}: ${execute.error.value}`);
// If the worker cannot tell, `changes` is null and `reason` says why.
for (const { change, path } of execute.files?.changes ?? []) console.log(change, path);
await download('chart.png', chart);
console.log(`${chart} is a chart of ${table}`);
await graphql(RELEASE, { input: { userUuid } });
