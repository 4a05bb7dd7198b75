/**
 * Checks that `arrows.mjs` allows every import in `src/`, bench, chaos and testkit, and that there are no import
 * cycles.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseSync } from 'oxc-parser';
import { PACKAGES, ROOMS } from './arrows.mjs';
import { projectRoot } from './setup/projectRoot.mjs';

/**
 * One sentence for every import that is not allowed.
 * @param {Record<string, string>} sources path below the project's folder -> text
 * @returns {string[]}
 */
export function wrongArrows(sources) {
  return importsIn(sources).flatMap(({ path, target, isTypeOnly, file }) => {
    const why = file === null ? refusedPackage(path, target) : refusedFile(path, file, isTypeOnly);
    return why === null ? [] : [`${path} imports ${target}: ${why}`];
  });
}

/**
 * One sentence for every file that a room opens to others although none of them imports it.
 * @param {Record<string, string>} sources as above
 * @returns {string[]}
 */
export function needlesslyOpen(sources) {
  const used = importsIn(sources).filter(
    ({ path, file }) => file !== null && roomOf(path) !== roomOf(file),
  );
  const isUsed = (room, entry) =>
    used.some(({ file }) => roomOf(file) === room && isAt(pathInRoom(file), entry));
  return Object.entries(ROOMS).flatMap(([room, { open = [] }]) =>
    open
      .filter((entry) => !isUsed(room, entry))
      .map((entry) => `${room} opens ${entry}, which no other room imports.`),
  );
}

/**
 * One sentence for every import cycle, even if only types are imported: to understand one file of a cycle, a reader has
 * to read all of them.
 * @param {Record<string, string>} sources path -> text
 * @returns {string[]}
 */
export function circles(sources) {
  const found = [];
  const done = new Set();
  const way = [];
  const visit = (path) => {
    const from = way.indexOf(path);
    if (from >= 0) found.push(`These import each other: ${way.slice(from).join(', ')}.`);
    if (from >= 0 || done.has(path)) return;
    way.push(path);
    for (const { target } of importsOf(path, sources[path])) {
      const next = normalize(join(dirname(path), target));
      if (target.startsWith('.') && next in sources) visit(next);
    }
    way.pop();
    done.add(path);
  };
  for (const path of Object.keys(sources)) visit(path);
  return found;
}

/**
 * The rooms from which each room really imports something, of all that it may. Types do not count.
 * @param {Record<string, string>} sources as above
 * @returns {Map<string, Set<string>>} room -> the rooms that it imports from
 */
export function arrowsIn(sources) {
  const arrows = new Map(Object.keys(ROOMS).map((room) => [room, new Set()]));
  for (const { path, file, isTypeOnly } of importsIn(sources)) {
    if (file === null || isTypeOnly || roomOf(path) === roomOf(file)) continue;
    arrows.get(roomOf(path))?.add(roomOf(file));
  }
  return arrows;
}

/** Every import. `file` is the path of the imported file below the project's folder, or null for a package. */
function importsIn(sources) {
  return Object.entries(sources).flatMap(([path, text]) =>
    importsOf(path, text).map(({ target, isTypeOnly }) => ({
      path,
      target,
      isTypeOnly,
      file: target.startsWith('.') ? normalize(join(dirname(path), target)) : null,
    })),
  );
}

function importsOf(path, text) {
  const { module, errors } = parseSync(path, text);
  if (errors.length > 0) throw new Error(`${path} cannot be parsed: ${errors[0].message}`);
  const imports = module.staticImports.map(({ moduleRequest, entries }) => ({
    target: moduleRequest.value,
    isTypeOnly: entries.length > 0 && entries.every(({ isType }) => isType),
  }));
  const exports = module.staticExports.flatMap(({ entries }) =>
    entries.flatMap(({ moduleRequest, isType }) =>
      moduleRequest ? [{ target: moduleRequest.value, isTypeOnly: isType }] : [],
    ),
  );
  const dynamic = module.dynamicImports.map(({ moduleRequest: { start, end } }) => ({
    target: text.slice(start, end).replace(/^['"`]|['"`]$/g, ''),
    isTypeOnly: false,
  }));
  return [...imports, ...exports, ...dynamic];
}

/** A folder of `src`, a file in it, or a folder beside it. */
function roomOf(path) {
  const [top, below] = path.split('/');
  return top === 'src' ? below : top;
}

function pathInRoom(path) {
  return path
    .split('/')
    .slice(path.startsWith('src/') ? 2 : 1)
    .join('/');
}

/** @param {string} entry a file, or a folder with a slash at its end */
function isAt(path, entry) {
  return path === entry || (entry.endsWith('/') && path.startsWith(entry));
}

function refusedFile(importer, file, isTypeOnly) {
  const [from, to] = [roomOf(importer), roomOf(file)];
  if (from === to) return null;
  const { may, types = [] } = ROOMS[from] ?? { may: [] };
  if (!may.includes(to) && !(isTypeOnly && types.includes(to)))
    return types.includes(to)
      ? `${from} may import only types from ${to}.`
      : `${from} may import from ${may.join(', ') || 'no other room'}.`;
  const { open } = ROOMS[to] ?? {};
  const path = pathInRoom(file);
  if (open === undefined || open.some((entry) => isAt(path, entry))) return null;
  return `${to} does not open ${path} to other rooms (scripts/arrows.mjs).`;
}

function refusedPackage(path, target) {
  if (!path.startsWith('src/')) return null;
  const [name, places] =
    Object.entries(PACKAGES).find(([each]) => target === each || target.startsWith(`${each}/`)) ??
    [];
  const isIn = (place) => path === `src/${place}` || path.startsWith(`src/${place}/`);
  if (!places || places.some(isIn)) return null;
  return `only ${places.join(' and ')} may import ${name}.`;
}

/** The TypeScript files below `folder`, by their paths below the project's folder. */
function readSources(folder) {
  const root = join(projectRoot, folder);
  if (!existsSync(root)) return {};
  const files = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(
    files.map((file) => [relative(projectRoot, file), readFileSync(file, 'utf8')]),
  );
}

/** The sources of all rooms. Tests are left out, because they may import any file. */
export function readRooms() {
  return Object.assign({}, ...['src', 'chaos', 'bench', 'testkit'].map(readSources));
}

function main() {
  const sources = readRooms();
  const count = Object.keys(sources).length;
  const wrong = [
    ...wrongArrows(sources),
    ...circles({ ...sources, ...readSources('test') }),
    ...Object.keys(sources)
      .filter((path) => !(roomOf(path) in ROOMS))
      .map((path) => `${path} is in no room of scripts/arrows.mjs.`),
  ];
  if (count === 0) wrong.push('There is nothing in src/ to check.');
  for (const sentence of wrong) console.error(sentence);
  if (wrong.length === 0) console.log(`Checked ${count} files.`);
  else process.exitCode = 1;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) main();
