/**
 * `npm run check`: checks everything that can be checked without Docker, in under a minute. It continues after a
 * failure, so that one run shows all failures.
 */
import { join } from 'node:path';
import { projectRoot } from './setup/projectRoot.mjs';
import { runCommand } from './setup/runCommand.mjs';
import { setUpCode } from './setup/setUp.mjs';
import { runScript, SetupError } from './setup/setupError.mjs';
import { step } from './setup/steps.mjs';

const CHECKS = [
  ['Format, lint', 'node_modules/@biomejs/biome/bin/biome', 'check', '--error-on-warnings'],
  ['Import arrows', 'scripts/check-arrows.mjs'],
  ['Types', 'node_modules/typescript/bin/tsc', '--noEmit', '-p', '.'],
  ['schema.graphql is what the code says', 'dist/schema/printSchema.js', '--check'],
  ['schema.graphql breaks nothing in silence', 'scripts/check-schema.mjs'],
  ['docs/use/reference.md is what the code says', 'dist/schema/printReference.js', '--check'],
  ['docs/use/errors.md is what the code says', 'dist/schema/printErrors.js', '--check'],
  [
    'docs/run/settings.md, docker-compose.yml are what the code says',
    'dist/config/printSettings.js',
    '--check',
  ],
  ['docs/run/troubleshooting.md is what the code says', 'dist/doctor/printTroubles.js', '--check'],
  ['The picture of rooms is what the code says', 'scripts/drawRooms.mjs', '--check'],
  ['migrations are what the tables say', 'scripts/check-migrations.mjs'],
  ['No dead exports, no unused dependencies', 'node_modules/knip/bin/knip.js'],
  ['Unit tests', 'node_modules/vitest/vitest.mjs', 'run', '--project', 'unit'],
];

await runScript(async () => {
  await setUpCode();
  const failures = [];
  for (const [title, script, ...args] of CHECKS) {
    const run = () =>
      runCommand(process.execPath, [join(projectRoot, script), ...args], {
        cwd: projectRoot,
        both: true,
      });
    await step(title, run).then(showSummary, (e) => failures.push(e.message));
  }
  if (failures.length > 0) throw new SetupError(failures.join('\n\n'));
});

/** Shows how much was checked, because a check of nothing would pass too. */
function showSummary(output) {
  for (const line of output.split('\n')) {
    if (/^\s*(Checked \d+ files|Test Files|Tests)\b/.test(stripColours(line)))
      console.log(`  ${stripColours(line).trim()}`);
  }
}

function stripColours(text) {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colour codes begin with a control character
  return text.replace(/\x1b\[[0-9;]*m/g, '');
}
