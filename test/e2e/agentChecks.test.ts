/**
 * Runs the agent's own checks (black, flake8, mypy, its unit tests on a real kernel) in the worker image. The same
 * checkers also check the probes, the examples and the programs that benches compare with, which are Python, too.
 */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import Docker from 'dockerode';
import { beforeAll, expect, it } from 'vitest';
import { CHECKS_TIMEOUT_MS, checkedAgent } from '../support/checkedAgent.ts';

const reports = process.env.CELLHOUSE_TEST_REPORTS;
let image: string;

beforeAll(async () => {
  image = await checkedAgent(new Docker());
}, CHECKS_TIMEOUT_MS);

it('the agent passes formatter, linter, type checker and tests', async () => {
  const report = await run(['cat', '/report.txt']);
  // .ci/count.mjs prints the slowest tests from it.
  if (reports !== undefined) writeFileSync(join(reports, 'agent.txt'), report);
  expect(report).toMatch(/\nSlowest test durations\r?\n[\s\S]*\nRan [1-9]\d* tests[\s\S]*\nOK/);
});

it.each([
  ['the probes', 'security/probes', ''],
  // The packages of clients are not in a worker's image.
  ['the examples', '../../examples', '--ignore-missing-imports'],
  ["the stock kernel's client", '../../bench', ''],
  // FastAPI is not in the image of the checks, so its types are unknown.
  [
    'the contenders',
    '../../bench/contenders/standIn',
    '--ignore-missing-imports --allow-untyped-decorators --allow-subclassing-any',
  ],
])('and so are %s, but for the tests', async (_name, path, allowance) => {
  const folder = new URL(path, import.meta.url).pathname;
  const settings = '--config=/src/agent/.flake8';
  const command = `cp -r /checked /tmp && cd /tmp/checked && black --check --quiet --diff --config /src/agent/pyproject.toml *.py &&
    python3 -m flake8 ${settings} *.py && mypy --strict ${allowance} *.py`;
  const report = await run(['sh', '-c', `(${command}) 2>&1`], [`${folder}:/checked:ro`]);
  expect(report.trim()).toMatch(/^Success: no issues found in [1-9]\d* source files?$/);
});

/** Runs a command in the image of the checks, and resolves with what it printed. */
async function run(entrypoint: string[], binds: string[] = []): Promise<string> {
  const output = new PassThrough();
  const report = text(output);
  // With a terminal Docker does not frame the output.
  await new Docker().run(image, [], output, {
    Tty: true,
    Entrypoint: entrypoint,
    Env: ['NO_COLOR=1', 'TERM=dumb'],
    HostConfig: { AutoRemove: true, Binds: binds, NetworkMode: 'none' },
  });
  output.end();
  return await report;
}
