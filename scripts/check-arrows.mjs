/** Checks that every import in `src/` is allowed by `arrows.mjs`. */
import { readdirSync, readFileSync } from 'node:fs';
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

function importsOf(path, text) {
  const { module, errors } = parseSync(path, text);
  if (errors.length > 0) throw new Error(`src/${path} cannot be parsed: ${errors[0].message}`);
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

function readSources() {
  const src = join(projectRoot, 'src');
  const files = readdirSync(src, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(files.map((file) => [relative(src, file), readFileSync(file, 'utf8')]));
}

function main() {
  const sources = readSources();
  const count = Object.keys(sources).length;
  const wrong = wrongArrows(sources);
  for (const path of Object.keys(sources)) {
    if (!(roomOf(path) in ROOMS)) wrong.push(`src/${path} is in no room of scripts/arrows.mjs.`);
  }
  if (count === 0) wrong.push('There is nothing in src/ to check.');
  for (const sentence of wrong) console.error(sentence);
  if (wrong.length === 0) console.log(`Checked ${count} files.`);
  else process.exitCode = 1;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) main();
