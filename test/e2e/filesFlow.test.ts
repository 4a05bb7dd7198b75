/** What a chat does with a user's file: a table goes in, code reads it, a chart and a workbook come out. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { execute } from '../../testkit/interpreter.ts';
import { TIERS } from '../support/probes.ts';

const CSV_BYTES = 20_000_000;
const LONG = { timeoutMs: 120_000 };

const CODE = `
import hashlib, json
import matplotlib
matplotlib.use("agg")
import matplotlib.pyplot as plt
import pandas as pd

table = pd.read_csv("data/sales.csv")
sums = table.groupby("item")["price"].sum()
sums.plot.bar()
plt.savefig("chart.png")
sums.to_frame().to_excel("sums.xlsx")
def sha256(name):
    return hashlib.sha256(open(name, "rb").read()).hexdigest()
print(json.dumps({
    "rows": len(table),
    "sums": {item: int(price) for item, price in sums.items()},
    "hashes": [sha256(name) for name in ("data/sales.csv", "chart.png", "sums.xlsx")],
}))
`;

const sha256 = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex');

/** Writes the table, and gives its number of rows and the sums that the code must find. */
function writeTable(file: string): { rows: number; sums: Record<string, number> } {
  const lines = ['item,price,note'];
  const sums: Record<string, number> = {};
  let bytes = 0;
  for (let row = 0; bytes < CSV_BYTES; row += 1) {
    const [item, price] = [`item-${row % 7}`, (row * 7_919) % 1_000];
    const line = `${item},${price},"the note of row ${row}, with a comma"`;
    sums[item] = (sums[item] ?? 0) + price;
    lines.push(line);
    bytes += line.length + 1;
  }
  writeFileSync(file, `${lines.join('\n')}\n`);
  return { rows: lines.length - 1, sums };
}

describe.each(TIERS)('a table of 20 MB under %s', (tier) => {
  let gateway: TestGateway;
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'ch-flow-'));
    gateway = await startTestGateway({ DOCKER_RUNTIME: tier, MIN_IDLE_WORKERS: '0' });
  });
  afterAll(async () => {
    await gateway?.destroy();
    rmSync(folder, { recursive: true, force: true });
  });

  /** curl with the token, for a path of the user's files. */
  async function curl(path: string, ...args: readonly string[]): Promise<string> {
    const url = `${gateway.url}/files/ann/${path}`;
    const given = ['-sSf', '-H', `X-Auth-Token: ${gateway.token}`, ...args, url];
    return (await promisify(execFile)('curl', given)).stdout;
  }

  it('goes in by curl, is read with pandas, and a chart and a workbook come out unchanged', async () => {
    const csv = join(folder, 'sales.csv');
    const { rows, sums } = writeTable(csv);
    const answer = JSON.parse(await curl('data/', '-T', csv)) as unknown;
    expect(answer).toMatchObject({
      path: 'data/sales.csv',
      size: statSync(csv).size,
      sha256: sha256(csv),
    });
    const { status, stdout, error } = await execute(gateway, 'ann', CODE, LONG);
    expect({ status, error }).toEqual({ status: 'OK', error: null });
    const told = JSON.parse(stdout) as { hashes: string[] };
    expect(told).toMatchObject({ rows, sums });
    for (const [index, name] of ['data/sales.csv', 'chart.png', 'sums.xlsx'].entries()) {
      const file = join(folder, `got-${index}`);
      await curl(name, '-o', file);
      expect([name, sha256(file)]).toEqual([name, told.hashes[index]]);
    }
    expect(readFileSync(join(folder, 'got-1')).subarray(1, 4).toString()).toBe('PNG');
    const { data } = await gateway.graphql(
      `{ files(userUuid: "ann") { edges { node { name } } } executions(userUuid: "ann", first: 1) { edges { node {
        files { changes { path change } reason } } } } }`,
    );
    expect(data).toMatchObject({
      files: {
        edges: expect.arrayContaining([
          { node: { name: 'chart.png' } },
          { node: { name: 'sums.xlsx' } },
        ]),
      },
      executions: {
        edges: [
          {
            node: {
              files: {
                changes: expect.arrayContaining([
                  { path: 'chart.png', change: 'CREATED' },
                  { path: 'sums.xlsx', change: 'CREATED' },
                ]),
              },
            },
          },
        ],
      },
    });
  });
});
