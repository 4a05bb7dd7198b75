/** The part of docs/run/environments.md that is made from the worker image. */
import { readFileSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import Docker from 'dockerode';

interface Package {
  readonly name: string;
  readonly version: string;
  readonly modules: readonly string[];
  readonly programs: readonly string[];
}
interface Contents {
  readonly sections: readonly { readonly title: string; readonly names: readonly string[] }[];
  readonly packages: readonly Package[];
}

const LOOK = readFileSync(new URL('../fixtures/imageContents.py', import.meta.url), 'utf8');
const PAGE_WIDTH = 120;

/** The page, with the part between its marks made anew from the image. */
export async function withContents(page: string, image: string): Promise<string> {
  const [begin, end] = ['<!-- made from the image -->\n', '<!-- end -->\n'];
  const [before, rest] = page.split(begin);
  const [, after] = rest?.split(end) ?? [];
  if (before === undefined || after === undefined) throw new Error('The page has no marks.');
  return before + begin + printedContents(await contentsOf(image)) + end + after;
}

async function contentsOf(image: string): Promise<Contents> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const printed = Promise.all([text(stdout), text(stderr)]);
  await new Docker().run(image, ['/usr/bin/python3', '-I', '-c', LOOK], [stdout, stderr], {
    Tty: false,
    Entrypoint: [],
    User: '64002',
    Labels: { 'cellhouse.test': 'image-page' },
    HostConfig: { NetworkMode: 'none', ReadonlyRootfs: true, AutoRemove: true },
  });
  stdout.end();
  stderr.end();
  const [found, failure] = await printed;
  if (failure !== '') throw new Error(failure);
  return JSON.parse(found) as Contents;
}

function printedContents({ sections, packages }: Contents): string {
  const byName = new Map(packages.map((found) => [found.name, found]));
  const listed = new Set(sections.flatMap(({ names }) => names));
  const blocks = sections.flatMap(({ title, names }) => {
    const found = names.flatMap((name) => byName.get(name) ?? []);
    if (found.length < names.length) throw new Error(`Not installed: one of ${names.join(', ')}`);
    return found.length > 0 ? [title, tableOf(found)] : [];
  });
  const others = packages.filter(({ name }) => !listed.has(name));
  blocks.push(
    `Modules that come along, because others need them: ${modulesOf(others, blocks.join())}.`,
    `Further packages with programs, most of them of Debian itself: ${programsOf(others)}.`,
  );
  return `\n${blocks.map(wrapped).join('\n\n')}\n\n`;
}

/** The modules that the tables do not have yet. (Packages that share a folder name the same module.) */
function modulesOf(packages: readonly Package[], tables: string): string {
  const found = packages.flatMap(({ modules, version }) =>
    modules.map((name) => [`\`${name}\``, version] as const),
  );
  const once = new Map(found.filter(([name]) => !tables.includes(name)));
  return [...once]
    .map(([name, version]) => `${name} ${version}`)
    .sort(inOrder)
    .join(', ');
}

const programsOf = (packages: readonly Package[]): string =>
  packages
    .flatMap(({ name, programs }) => (programs.length > 0 ? [name] : []))
    .sort(inOrder)
    .join(', ');

function tableOf(packages: readonly Package[]): string {
  const rows = packages.map(({ name, version, modules, programs }) => {
    const cells = [modules, programs].map((names) => names.map((one) => `\`${one}\``).join(' '));
    return `| ${name} | ${version} | ${cells.join(' | ')} |`;
  });
  return ['| package | version | `import` | programs |', '| --- | --- | --- | --- |', ...rows].join(
    '\n',
  );
}

const inOrder = (one: string, other: string): number =>
  one.toLowerCase() < other.toLowerCase() ? -1 : 1;

/** The lines of a text, broken at spaces. Lines of a table stay. */
function wrapped(block: string): string {
  const lines = block.split('\n').map((line) => (line.startsWith('|') ? line : brokenLine(line)));
  return lines.join('\n');
}

function brokenLine(line: string): string {
  const lines = [''];
  for (const word of line.split(' ')) {
    const last = lines.at(-1) ?? '';
    if (last === '') lines[lines.length - 1] = word;
    else if (last.length + 1 + word.length > PAGE_WIDTH) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines.join('\n');
}
