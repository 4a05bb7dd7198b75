/**
 * Compares `schema.graphql` with that of the last release, which is the last tag, and fails on a break that
 * CHANGELOG.md does not name (docs/use/schema-policy.md).
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildSchema, findBreakingChanges } from 'graphql';
import { projectRoot } from './setup/projectRoot.mjs';
import { runScript, SetupError } from './setup/setupError.mjs';

const FILE = 'schema.graphql';

/**
 * The breaks between two schemas that the changelog does not name above the section of the former release. A break is
 * named by its coordinate in back-ticks, such as `Session.metadata` or `Session.metadata: …`.
 * @param {{ before: string, after: string, changelog: string, release: string }} given `release`: the former tag
 * @returns {string[]} one line for each
 */
export function unnamedBreaks({ before, after, changelog, release }) {
  const version = release.replace(/^v/, '');
  const [news = ''] = changelog.split(`\n## [${version}]`);
  const named = new Set([...news.matchAll(/`([\w.]+)/g)].map(([, name]) => name));
  return findBreakingChanges(buildSchema(before), buildSchema(after))
    .map(({ description }) => ({ description, coordinate: coordinateOf(description) }))
    .filter(({ coordinate }) => !named.has(coordinate))
    .map(({ description, coordinate }) => `${coordinate}: ${description}`);
}

/** Where the break is, from the sentence in which graphql describes it. */
function coordinateOf(description) {
  const value = /^(\w+) was removed from (?:enum|union) type (\w+)/.exec(description);
  if (value) return `${value[2]}.${value[1]}`;
  const input = /^A required field (\w+) on input type (\w+)/.exec(description);
  if (input) return `${input[2]}.${input[1]}`;
  const field = /\b\w+\.\w+\b/.exec(description);
  return field ? field[0] : description.split(' ')[0];
}

/** The output of git. Null: it failed, as without a tag or outside of a repository. */
function git(...args) {
  try {
    return execFileSync('git', args, {
      cwd: projectRoot,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } catch {
    // Why git failed does not matter: there is nothing to compare with.
    return null;
  }
}

function check() {
  const release = git('describe', '--tags', '--abbrev=0')?.trim();
  const before = release && git('show', `${release}:${FILE}`);
  if (!before) {
    console.log('There is no release yet whose schema could be broken.');
    return;
  }
  const read = (file) => readFileSync(join(projectRoot, file), 'utf8');
  const changelog = read('CHANGELOG.md');
  const breaks = unnamedBreaks({ before, after: read(FILE), changelog, release });
  if (breaks.length === 0) return;
  throw new SetupError(
    `${FILE} breaks clients of ${release}. Take it back, or name each in CHANGELOG.md by its coordinate in back-ticks:\n${breaks.join('\n')}`,
  );
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await runScript(check);
