/**
 * `npm run test:repeat -- [words] --times N [--beside-load] [--long]`: runs the test files whose paths contain one of
 * the words N times, and prints each test that failed, how often, and where its logs are. `--beside-load` keeps the
 * machine busy meanwhile. A word may also name tests of the agent, such as `test_terminals`.
 */
import { createWriteStream, existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { projectRoot } from './setup/projectRoot.mjs';
import { setUpCode } from './setup/setUp.mjs';
import { runScript, SetupError } from './setup/setupError.mjs';
import { startLoad } from './testing/load.mjs';
import { prepareFor } from './testing/prepare.mjs';
import { matchingParts, PARTS, refuseNoMatch, startVitest } from './testing/vitest.mjs';

const AGENT_CHECKS = 'test/e2e/agentChecks.test.ts';
const DEFAULT_TIMES = 10;
const MAX_TIMES = 10_000;

await runScript(async () => {
  const { words, times, isBesideLoad } = asked();
  await setUpCode();
  const plan = await planOf(words);
  await prepareFor(plan.map(({ part }) => part));
  const folder = mkdtempSync(join(tmpdir(), 'cellhouse-repeat-'));
  console.log(`Logs are in ${folder}`);
  const stopLoad = isBesideLoad ? startLoad() : () => undefined;
  /** The name of a test that failed -> the logs of these runs. */
  const failures = new Map();
  try {
    for (let run = 1; run <= times; run += 1) {
      const startedAt = performance.now();
      const counts = { passed: 0, failed: 0 };
      for (const each of plan) {
        const { passed, failed, log } = await runOnce(each, join(folder, `${run}-${each.part}`));
        counts.passed += passed;
        counts.failed += failed.length;
        for (const name of failed) failures.set(name, [...(failures.get(name) ?? []), log]);
      }
      const seconds = Math.round((performance.now() - startedAt) / 1_000);
      console.log(
        `Run ${run} of ${times}: ${counts.passed} passed, ${counts.failed} failed, ${seconds} s`,
      );
    }
  } finally {
    stopLoad();
  }
  if (failures.size === 0) return;
  const lines = [...failures].map(
    ([name, logs]) => `${name}\n  failed ${logs.length} of ${times} times: ${logs.join(' ')}`,
  );
  throw new SetupError(lines.join('\n'));
});

function asked() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      times: { type: 'string', default: String(DEFAULT_TIMES) },
      'beside-load': { type: 'boolean', default: false },
      long: { type: 'boolean', default: false },
    },
  });
  const times = Number(values.times);
  if (!Number.isInteger(times) || times < 1 || times > MAX_TIMES)
    throw new SetupError(`--times must be a whole number from 1 to ${MAX_TIMES}.`);
  if (values.long) process.env.CELLHOUSE_TEST_LONG = '1';
  return { words: positionals, times, isBesideLoad: values['beside-load'] };
}

/** The parts of one run. The agent's tests are not tests of vitest: agentChecks runs the modules in AGENT_TESTS. */
async function planOf(words) {
  const parts = await matchingParts(words);
  const modules = agentModules(words);
  const plan = PARTS.filter((part) => parts.has(part)).map((part) => ({ part, args: words }));
  const hasAgentChecks = parts.get('e2e')?.some((file) => file.endsWith(AGENT_CHECKS));
  if (modules.length > 0 && !hasAgentChecks) {
    process.env.AGENT_TESTS = modules.join(' ');
    plan.push({ part: 'e2e', args: [AGENT_CHECKS, '-t', 'the agent passes its tests'] });
  }
  if (plan.length === 0) refuseNoMatch(words);
  return plan;
}

function agentModules(words) {
  const tests = join(projectRoot, 'worker-image/agent');
  return readdirSync(join(tests, 'tests'), { recursive: true })
    .filter((path) => /(^|\/)test_\w+\.py$/.test(path))
    .filter((path) => words.some((word) => `worker-image/agent/tests/${path}`.includes(word)))
    .map((path) => `tests.${path.slice(0, -'.py'.length).replaceAll('/', '.')}`);
}

/** Runs one part once, and gives the names of the tests that failed. */
async function runOnce({ part, args }, path) {
  const [log, report] = [`${path}.log`, `${path}.json`];
  const options = ['--reporter=default', '--reporter=json', `--outputFile=${report}`];
  const child = startVitest(part, [...args, ...options], { stdio: ['ignore', 'pipe', 'pipe'] });
  const file = createWriteStream(log);
  child.stdout.pipe(file, { end: false });
  child.stderr.pipe(file, { end: false });
  const code = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  file.end();
  const { passed, failed } = resultsOf(report);
  if (code !== 0 && failed.length === 0) failed.push(`The whole run of ${part}`);
  return { passed, failed, log };
}

/** Without a report, vitest itself has failed. */
function resultsOf(report) {
  if (!existsSync(report)) return { passed: 0, failed: [] };
  const { numPassedTests: passed, testResults } = JSON.parse(readFileSync(report, 'utf8'));
  const failed = testResults.flatMap(({ name, status, assertionResults }) => {
    const file = name.replace(`${projectRoot}/`, '');
    const tests = assertionResults.filter((test) => test.status === 'failed').flatMap(namesOf);
    return tests.length > 0 || status !== 'failed'
      ? tests.map((test) => `${file}: ${test}`)
      : [`${file}: the file`];
  });
  return { passed, failed };
}

/** The name of a failed test. If it is agentChecks, the names of the failed tests in the agent's report. */
function namesOf({ fullName, failureMessages }) {
  const inAgent = [...failureMessages.join('\n').matchAll(/^(?:FAIL|ERROR): \w+ \(([\w.]+)/gm)];
  return inAgent.length > 0 ? inAgent.map(([, name]) => name) : [fullName];
}
