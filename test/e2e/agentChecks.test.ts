/**
 * Runs the agent's own checks (black, flake8, mypy, its unit tests on a real kernel) in the worker image. The checkers
 * also run on the other Python of the repository: probes, examples, and the programs that benches compare with.
 */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { agentWithTests, CHECKS_TIMEOUT_MS, runInAgent } from '../support/agentWithTests.ts';

/** `npm run test:repeat` sets AGENT_TESTS to the modules that it repeats. By default, all modules run. */
const { AGENT_TESTS: modules = 'discover --start-directory tests', CELLHOUSE_TEST_REPORTS } =
  process.env;
let image: string;

beforeAll(async () => {
  image = await agentWithTests();
}, CHECKS_TIMEOUT_MS);

it(
  'the agent passes formatter, linter and type checker',
  async () => {
    const checks = 'black --check --quiet --diff . && python3 -m flake8 . && mypy';
    const report = await runInAgent(image, checks);
    expect(report.trim()).toMatch(/^Success: no issues found in [1-9]\d* source files?$/);
  },
  CHECKS_TIMEOUT_MS,
);

it(
  'the agent passes its tests',
  async () => {
    const report = await runInAgent(image, `python3 -m unittest ${modules} --durations 30`);
    // .ci/count.mjs reads this file, and prints the slowest tests.
    if (CELLHOUSE_TEST_REPORTS !== undefined)
      writeFileSync(join(CELLHOUSE_TEST_REPORTS, 'agent.txt'), report);
    const isPassed = /\nRan [1-9]\d* tests?[\s\S]*\nOK\b/.test(report);
    expect(isPassed, report).toBe(true);
  },
  CHECKS_TIMEOUT_MS,
);

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
])('formatter, linter and type checker accept %s', async (_name, path, allowance) => {
  const folder = new URL(path, import.meta.url).pathname;
  const settings = '--config=/src/agent/.flake8';
  const command = `cp -r /checked /tmp && cd /tmp/checked && black --check --quiet --diff --config /src/agent/pyproject.toml *.py &&
    python3 -m flake8 ${settings} *.py && mypy --strict ${allowance} *.py`;
  const report = await runInAgent(image, command, [`${folder}:/checked:ro`]);
  expect(report.trim()).toMatch(/^Success: no issues found in [1-9]\d* source files?$/);
});
