/** Checks that every import in `src/` is allowed by `arrows.mjs`, and that no files import each other in a circle. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseSync } from 'oxc-parser';
import { PACKAGES, ROOMS } from './arrows.mjs';
import { projectRoot } from './setup/projectRoot.mjs';

/**
 * One sentence for every import that is not allowed.
 * @param {Record<string, string>} sources path below `src/` -> text
 * @returns {string[]}
 */
export function wrongArrows(sources) {
  return Object.entries(sources).flatMap(([path, text]) =>
    importsOf(path, text).flatMap(({ target, isTypeOnly }) => {
      const why = target.startsWith('.')
        ? refusedRoom(path, normalize(join(dirname(path), target)), isTypeOnly)
        : refusedPackage(path, target);
      return why === null ? [] : [`src/${path} imports ${target}: ${why}`];
    }),
  );
}

/**
 * One sentence for every circle of files that import each other, also if only types are imported: to understand one of
 * them, one has to read them all.
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

function roomOf(path) {
  return path.split('/')[0];
}

function refusedRoom(path, target, isTypeOnly) {
  const [from, to] = [roomOf(path), roomOf(target)];
  if (from === to) return null;
  const { may, types = [] } = ROOMS[from] ?? { may: [] };
  if (may.includes(to) || (isTypeOnly && types.includes(to))) return null;
  return types.includes(to)
    ? `${from} may import only types from ${to}.`
    : `${from} may import from ${may.join(', ') || 'no other room'}.`;
}

function refusedPackage(path, target) {
  const [name, places] =
    Object.entries(PACKAGES).find(([each]) => target === each || target.startsWith(`${each}/`)) ??
    [];
  if (!places || places.some((place) => path === place || path.startsWith(`${place}/`)))
    return null;
  return `only ${places.join(' and ')} may import ${name}.`;
}

/** The files of a folder, by their paths below `root`. */
function readSources(root, folder = root) {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(
    files.map((file) => [relative(root, file), readFileSync(file, 'utf8')]),
  );
}

function main() {
  const sources = readSources(join(projectRoot, 'src'));
  const count = Object.keys(sources).length;
  const all = ['src', 'chaos', 'bench', 'testkit', 'test']
    .map((folder) => join(projectRoot, folder))
    .filter(existsSync)
    .map((folder) => readSources(projectRoot, folder));
  const wrong = [...wrongArrows(sources), ...circles(Object.assign({}, ...all))];
  for (const path of Object.keys(sources)) {
    if (!(roomOf(path) in ROOMS)) wrong.push(`src/${path} is in no room of scripts/arrows.mjs.`);
  }
  if (count === 0) wrong.push('There is nothing in src/ to check.');
  for (const sentence of wrong) console.error(sentence);
  if (wrong.length === 0) console.log(`Checked ${count} files.`);
  else process.exitCode = 1;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) main();
