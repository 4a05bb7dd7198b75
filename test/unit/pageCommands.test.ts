/** Every command that the README, docs/use and docs/run show is run by a test, or checked here. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { auditorArguments } from '../../src/cli/auditor.ts';
import { headsFile } from '../../src/cli/auditVerify.ts';
import { backupArguments, restoreArguments } from '../../src/cli/backup.ts';
import { parseOptions } from '../../src/cli/commandLine.ts';
import { doctorArguments } from '../../src/cli/doctor.ts';
import { doorsArguments } from '../../src/cli/doors.ts';
import { downArguments } from '../../src/cli/down.ts';
import { environmentArguments } from '../../src/cli/environment.ts';
import { forgetArguments } from '../../src/cli/forget.ts';
import { mcpArguments } from '../../src/cli/mcp.ts';
import { pruneArguments } from '../../src/cli/prune.ts';
import { USAGE } from '../../src/cli/run.ts';
import { serviceArguments } from '../../src/cli/service.ts';
import { tokenArguments } from '../../src/cli/token.ts';
import { loadConfig, SETTINGS } from '../../src/config/config.ts';
import {
  allFences,
  commandsIn,
  GUIDE,
  inlineCode,
  readPage,
  USER_PAGES,
} from '../support/userPages.ts';

const ROOT = new URL('../../', import.meta.url).pathname;

/** By language, the tests that run or compare what is in a page's fences. */
const HELD_BY: Readonly<Record<string, readonly string[]>> = {
  caddyfile: ['test/support/tlsProxy.ts'],
  graphql: ['test/unit/apiDoc.test.ts'],
  ini: ['test/e2e/service.test.ts'],
  js: ['test/unit/readme.test.ts'],
  json: ['test/e2e/apiDoc.test.ts'],
  nginx: ['test/support/tlsProxy.ts'],
  promql: ['test/int/monitoring.test.ts'],
  python: ['test/unit/readme.test.ts'],
  sql: ['test/int/audit.test.ts', 'test/e2e/standby.test.ts'],
  text: [
    ...['test/e2e/readme.test.ts', 'test/e2e/apiDoc.test.ts', 'test/unit/auditVerify.test.ts'],
    ...['test/unit/clientsDoc.test.ts', 'test/unit/readme.test.ts'],
  ],
  yaml: ['test/unit/readme.test.ts'],
};
/** Commands, of which the rest of this file is, and pictures. */
const HELD_HERE = ['sh', 'crontab', 'mermaid'];

/** No test runs the command as it stands. It starts the program with settings and arguments, which are parsed below. */
const PARSED = Symbol('parsed');
/** Why no test runs a command. */
type Reason = { readonly reason: string };

/** By page, the start of each command in a fence `sh` -> the test that runs it. */
const RUN_BY: Readonly<Record<string, Readonly<Record<string, string | symbol | Reason>>>> = {
  'README.md': {
    'npm start': 'test/e2e/readme.test.ts',
    'npm stop': 'test/e2e/readme.test.ts',
    'docker compose up': 'test/e2e/compose.test.ts',
    '(umask 077; ': 'test/e2e/compose.test.ts',
    'export CELLHOUSE_TOKEN=': 'test/e2e/examples.test.ts',
    'sh examples/quick.sh': 'test/e2e/examples.test.ts',
    'node examples/quick.mjs': 'test/e2e/examples.test.ts',
    'python3 examples/quick.py': 'test/e2e/examples.test.ts',
    'npm test': { reason: 'It runs this test.' },
  },
  'docs/use/quickstart.md': {
    'export CELLHOUSE_TOKEN=': 'test/e2e/examples.test.ts',
    'sh examples/': 'test/e2e/examples.test.ts',
    'python3 examples/': 'test/e2e/examples.test.ts',
    'node examples/': 'test/e2e/examples.test.ts',
  },
  'docs/use/interfaces.md': {
    'python3 examples/chat.py': 'test/e2e/examples.test.ts',
    'python3 examples/notebook.py': 'test/e2e/notebook.test.ts',
    'node examples/load.mjs': 'test/e2e/examples.test.ts',
  },
  'docs/use/integrations.md': { 'node examples/integrations/': 'test/e2e/integrations.test.ts' },
  'docs/use/contexts-and-commands.md': {
    'node examples/terminal.mjs': 'test/e2e/examples.test.ts',
  },
  'docs/use/files.md': {
    'AUTH=': 'test/e2e/apiDoc.test.ts',
    'BASE=': 'test/e2e/apiDoc.test.ts',
    'printf ': 'test/e2e/apiDoc.test.ts',
    'curl ': 'test/e2e/apiDoc.test.ts',
    'sh examples/': 'test/e2e/examples.test.ts',
    'node examples/': 'test/e2e/examples.test.ts',
    'python3 examples/': 'test/e2e/examples.test.ts',
  },
  'docs/use/patterns.md': {
    'AUTH=': 'test/e2e/apiDoc.test.ts',
    'BASE=': 'test/e2e/apiDoc.test.ts',
    'curl ': 'test/e2e/apiDoc.test.ts',
  },
  'docs/use/streaming.md': {
    'node examples/follow.mjs': 'test/e2e/examples.test.ts',
    'python3 examples/follow.py': 'test/e2e/examples.test.ts',
    'printf ': 'test/e2e/apiDoc.test.ts',
  },
  'docs/use/doors/e2b.md': { 'export E2B_': 'test/e2e/e2b/sandboxes.test.ts' },
  'docs/use/doors/mcp.md': { 'claude mcp add ': 'test/unit/clientsDoc.test.ts' },
  'docs/use/doors/predecessor.md': {
    'DOORS=': PARSED,
    'npx cellhouse token create ': 'test/e2e/predecessor.test.ts',
    'python3 examples/': 'test/e2e/predecessor.test.ts',
  },
  'docs/run/access.md': { 'npx cellhouse token ': 'test/e2e/apiDoc.test.ts' },
  'docs/run/audit.md': {
    'psql ': 'test/e2e/databaseDump.test.ts',
    'npx cellhouse auditor ': 'test/e2e/databaseDump.test.ts',
  },
  'docs/run/backup.md': {
    pg_dump: 'test/e2e/databaseDump.test.ts',
    pg_restore: 'test/e2e/databaseDump.test.ts',
    'DATABASE_URL=': 'test/e2e/databaseDump.test.ts',
    'docker compose ': 'test/e2e/compose.test.ts',
    'npx cellhouse backup ': 'test/e2e/backup.test.ts',
    'DATA_DIR=/srv/restored npx cellhouse restore ': 'test/e2e/backup.test.ts',
    'DATA_DIR=/srv/restored npm start': PARSED,
    'systemctl ': 'test/e2e/service.test.ts',
    'cellhouse service run restore ': 'test/e2e/service.test.ts',
  },
  'docs/run/commands.md': { 'npx cellhouse --help': PARSED },
  'docs/run/configure.md': {
    'MAX_TOTAL_WORKERS=': PARSED,
    'npx cellhouse config check': PARSED,
  },
  'docs/run/database.md': {
    'su postgres ': 'test/e2e/databaseDump.test.ts',
    'DATABASE_URL=': PARSED,
  },
  'docs/run/egress.md': { 'EGRESS_ALLOW=': PARSED },
  'docs/run/environments.md': { 'npx cellhouse environment ': 'test/e2e/environments.test.ts' },
  'docs/run/forget.md': {
    'npx cellhouse forget --user ': 'test/e2e/forget.test.ts',
    'npx cellhouse forget --tenant ': PARSED,
  },
  'docs/run/gateways.md': {
    'export DATABASE_URL=': 'test/e2e/gateways.test.ts',
    'export AUTH_TOKEN=': 'test/e2e/gateways.test.ts',
    'DATA_DIR=': 'test/e2e/gateways.test.ts',
  },
  'docs/run/install.md': {
    'npm install -g ./cellhouse-': 'test/e2e/release.test.ts',
    'npm start': 'test/e2e/readme.test.ts',
    'docker compose ': 'test/e2e/compose.test.ts',
  },
  'docs/run/isolation.md': {
    'node scripts/setup-runsc.mjs': 'test/e2e/setupRunsc.test.ts',
    'DOCKER_RUNTIME=': PARSED,
    'docker ps ': 'test/e2e/compose.test.ts',
  },
  'docs/run/monitoring.md': {
    'promtool check config ': 'test/int/monitoring.test.ts',
    'prometheus ': 'test/e2e/monitoring.test.ts',
    'curl ': 'test/e2e/readme.test.ts',
  },
  'docs/run/service.md': { 'cellhouse service ': 'test/e2e/service.test.ts' },
  'docs/run/standby.md': { 'pg_basebackup ': 'test/e2e/standby.test.ts' },
  'docs/run/troubleshooting.md': { 'npx cellhouse doctor': 'test/e2e/doctor.test.ts' },
  'docs/run/upgrade.md': { 'cellhouse service upgrade ': 'test/e2e/service.test.ts' },
};

const NOTHING = (words: readonly string[]) => parseOptions(words, { options: {} });
/** Each command of the program, with the parser of its arguments. */
const PARSERS: Readonly<Record<string, (words: readonly string[]) => unknown>> = {
  '--help': NOTHING,
  '--version': NOTHING,
  'audit verify': headsFile,
  auditor: auditorArguments,
  backup: backupArguments,
  'config check': NOTHING,
  doctor: doctorArguments,
  doors: doorsArguments,
  down: downArguments,
  ...withParser('environment', ['build', 'create', 'list', 'remove', 'show'], environmentArguments),
  forget: forgetArguments,
  mcp: (words) => mcpArguments(words, { CELLHOUSE_TOKEN: 'token' }),
  prune: pruneArguments,
  rebuild: NOTHING,
  restore: restoreArguments,
  serve: NOTHING,
  'service install': serviceArguments,
  'service remove': NOTHING,
  'service run': checkCall,
  'service upgrade': serviceArguments,
  start: NOTHING,
  stop: downArguments,
  ...withParser('token', ['create', 'list', 'revoke', 'rotate'], tokenArguments),
};

function withParser(
  group: string,
  names: readonly string[],
  parse: (words: readonly string[]) => unknown,
) {
  return Object.fromEntries(
    names.map((name) => [
      `${group} ${name}`,
      (words: readonly string[]) => parse([name, ...words]),
    ]),
  );
}

/** Files that commands of the pages read. */
const folder = mkdtempSync(join(tmpdir(), 'ch-pages-'));
afterAll(() => rmSync(folder, { recursive: true }));
for (const name of ['requirements.txt', 'setup.sh']) writeFileSync(join(folder, name), '');

/** What stands for something on the pages -> what the parsers accept in its place. */
const STANDS_FOR: Readonly<Record<string, string>> = {
  COMMAND: 'down',
  N: '1',
  SECONDS: '1',
  URL: 'https://code.example.com',
  'requirements.txt': join(folder, 'requirements.txt'),
  'setup.sh': join(folder, 'setup.sh'),
};

/** Gives the words after `cellhouse` to the parser of the command. @throws Error if it refuses them */
function checkCall(words: readonly string[]): void {
  const name = [words.slice(0, 2).join(' '), words[0] ?? ''].find((one) =>
    Object.hasOwn(PARSERS, one),
  );
  if (name === undefined) throw new Error(`There is no command ${words.slice(0, 2).join(' ')}.`);
  const more = words.slice(name.split(' ').length);
  PARSERS[name]?.(more.map((word) => STANDS_FOR[word] ?? word));
}

/** Where a shell takes `cellhouse` for a command, and not for an argument. */
const CALLS =
  /(?:npx cellhouse|node dist\/cli\.js|\/bin\/cellhouse|(?<=^(?:\$ )?|[;|&#] |^[A-Z_]+=\S+ )cellhouse)(?! =)(?= |$)((?: [^\s#>|;&)]+)*)/gm;

/** The words after each `cellhouse` in the text. */
function callsIn(text: string): string[][] {
  const calls = [...text.matchAll(CALLS)].map(([, words = '']) => words.split(' ').slice(1));
  return calls.filter((words) => words.length > 0);
}

/** A name without arguments is about the command, and need not be complete. */
const isName = (words: readonly string[]) =>
  Object.hasOwn(PARSERS, words.join(' ')) ||
  Object.keys(PARSERS).some((name) => name.startsWith(`${words.join(' ')} `));

/** The settings before a command, or after `export`. */
function settingsOf(command: string): [string, string][] {
  const [before = ''] = /^(?:export )?(?:[A-Z_]+=(?:'[^']*'|\S+)(?: |$))+/.exec(command) ?? [];
  const settings = before.matchAll(/([A-Z_]+)=(?:'([^']*)'|(\S+))/g);
  return [...settings].map(([, name = '', quoted, plain]) => [name, quoted ?? plain ?? '']);
}

/** The text of a test, and of what it imports from test/support. */
function textOf(test: string): string {
  const text = readFileSync(ROOT + test, 'utf8');
  const imports = [...text.matchAll(/from '(\.[^']*\/support\/[^']+)'/g)].map(([, path = '']) =>
    join(dirname(test), path),
  );
  const others = imports.filter((path) => !path.endsWith('/userPages.ts'));
  return [text, ...others.map((path) => readFileSync(ROOT + path, 'utf8'))].join('\n');
}

/** Whether tests run with this npm package, such as `ai@6`. */
function isTested(word: string): boolean {
  const { dependencies, devDependencies } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8'));
  const versions: Readonly<Record<string, string>> = { ...dependencies, ...devDependencies };
  const [, name = '', version] = /^(.[^@]*)(?:@(.+))?$/.exec(word) ?? [];
  const tested = versions[name]?.replace('^', '');
  return tested !== undefined && (version === undefined || `${tested}.`.startsWith(`${version}.`));
}

/** Whether a test names the page, or a list with the page. */
function isAbout(test: string, page: string): boolean {
  if (textOf(test).includes(page)) return true;
  const own = readFileSync(ROOT + test, 'utf8');
  const lists = Object.entries({ GUIDE, USER_PAGES });
  return lists.some(
    ([name, pages]) => new RegExp(`\\b${name}\\b`).test(own) && pages.includes(page),
  );
}

/** Whether a test runs what a page prints for a program of examples/ that the test names. */
function runsExample(test: string, command: string): boolean {
  const text = textOf(test);
  const example = command.split(' ').find((word) => word.startsWith('examples/'));
  return example !== undefined && /\brunExample\(/.test(text) && text.includes(basename(example));
}

describe.each(USER_PAGES)('%s', (path) => {
  const text = readPage(path);
  const rows = Object.entries(RUN_BY[path] ?? {});
  const rowOf = (command: string) => rows.find(([start]) => command.startsWith(start));

  it('has only fences that a test about the page runs or compares', () => {
    const languages = [...new Set(allFences(text).map(({ language }) => language))];
    const others = languages.filter((language) => !HELD_HERE.includes(language));
    const isHeld = (language: string) => HELD_BY[language]?.some((test) => isAbout(test, path));
    expect(others.filter((language) => !isHeld(language))).toEqual([]);
  });

  it('has only commands that a test runs', () => {
    const commands = commandsIn(text);
    expect(commands.filter((command) => rowOf(command) === undefined)).toEqual([]);
    const used = commands.map((command) => rowOf(command)?.[0]);
    expect(rows.map(([start]) => start).filter((start) => !used.includes(start))).toEqual([]);
  });

  it('is named by the tests that run its commands', () => {
    for (const command of commandsIn(text)) {
      const [, by] = rowOf(command) ?? [];
      if (typeof by !== 'string') continue;
      const isRun = isAbout(by, path) || runsExample(by, command);
      expect(isRun, `${by} must name ${path}, of which it runs ${command}`).toBe(true);
    }
  });

  it('leaves to the parsers only what starts the program', () => {
    const parsed = commandsIn(text).filter((command) => rowOf(command)?.[1] === PARSED);
    for (const command of parsed)
      expect(command).toMatch(/^(?:[A-Z_]+=(?:'[^']*'|\S+) )*(?:npm start$|npx cellhouse )/);
  });

  it('calls cellhouse only with commands and arguments that it has', () => {
    for (const { content } of allFences(text))
      for (const words of callsIn(content))
        expect(() => checkCall(words), words.join(' ')).not.toThrow();
    for (const code of inlineCode(text))
      for (const words of callsIn(code))
        if (!isName(words)) expect(() => checkCall(words), code).not.toThrow();
  });

  it('installs npm packages only in versions with which tests run', () => {
    const installs = inlineCode(text).filter((code) => /^npm install [^-]/.test(code));
    const packages = installs.flatMap((code) => code.split(' ').slice(2));
    expect(packages.filter((word) => !isTested(word))).toEqual([]);
  });

  it('sets only settings that exist, to values that they may have', () => {
    const declared = Object.values(SETTINGS).map(({ name }) => name);
    for (const command of commandsIn(text)) {
      if (!/\b(?:npm start|npx cellhouse)\b|^export /.test(command)) continue;
      const settings = settingsOf(command).filter(([name]) => !OF_CLIENTS.test(name));
      expect(settings.map(([name]) => name).filter((name) => !declared.includes(name))).toEqual([]);
      expect(() => loadConfig(Object.fromEntries(settings)), command).not.toThrow();
    }
  });
});

/** Variables that clients read. */
const OF_CLIENTS = /^(?:CELLHOUSE_|E2B_)/;

describe('the rows', () => {
  it('are about pages that exist', () => {
    expect(Object.keys(RUN_BY).filter((page) => !USER_PAGES.includes(page))).toEqual([]);
  });

  it('have a parser for each command of the program, and for no other', () => {
    expect(Object.keys(PARSERS).toSorted()).toEqual(commandsOfUsage());
  });
});

describe('docs/run/commands.md', () => {
  it('has every command, and no other', () => {
    const rows = [...readPage('docs/run/commands.md').matchAll(/^\| (`.+?`) \| /gm)];
    const documented = rows.flatMap(([, cell = '']) => commandsInCell(cell));
    expect(documented.toSorted()).toEqual(commandsOfUsage());
  });
});

/** The names of all commands, as the program lists them. */
function commandsOfUsage(): string[] {
  const names = USAGE.matchAll(
    /(?<=^ {2}|^ {2}[a-z]+ [a-z]+, )(--?\w+|[a-z]+(?: (?!NAME)[a-z]+)?)\b/gm,
  );
  const found = new Set([...names].map(([, command = '']) => command));
  expect(found.size).toBeGreaterThan(15);
  return [...found].sort();
}

/** "`token create`, `list`" -> token create, token list */
function commandsInCell(cell: string): string[] {
  const found = [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);
  const [first = ''] = found;
  const group = first.split(' ')[0] ?? '';
  return found.map((name) => (name === first || name.startsWith('-') ? name : `${group} ${name}`));
}
