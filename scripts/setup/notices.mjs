/** The notices of the packages that are inside the built program: names, versions, and the texts of their licences. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { SetupError } from './setupError.mjs';

/** In `dist/`. */
export const NOTICES_FILE = 'THIRD_PARTY_NOTICES.txt';
/** The texts of licences, for packages that only name theirs. */
const LICENCES = new URL('./licences/', import.meta.url);
const TITLE = /^=== (\S+@\S+) \(.+\)$/gm;

/**
 * @param {readonly string[]} paths absolute paths of modules; those below no `node_modules` are the program's own
 * @returns {string} a section for each package that has one of the modules
 * @throws SetupError that names a package whose licence has no text
 */
export function noticesOf(paths) {
  const folders = [...new Set(paths.flatMap((path) => packageFolder(path) ?? []))];
  const sections = new Map(folders.map(sectionOf));
  const texts = [...sections].sort(([one], [other]) => (one < other ? -1 : 1));
  return [
    'Cellhouse contains code of these packages. Each is followed by its licence.\n',
    ...texts.map(([, text]) => text),
  ].join('\n');
}

/** The packages that notices name, each as `name@version`. @param {string} notices @returns {string[]} */
export function packagesIn(notices) {
  return [...notices.matchAll(TITLE)].map(([, name]) => name);
}

/** The folder of the package that the module belongs to. Null: the module is the program's own. */
function packageFolder(path) {
  return /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(path)?.[0] ?? null;
}

function sectionOf(folder) {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const name = `${manifest.name}@${manifest.version}`;
  const files = readdirSync(folder).filter((file) => /^(licen[cs]e|copying|notice)\b/i.test(file));
  const texts = files.map((file) => readFileSync(join(folder, file), 'utf8'));
  if (texts.length === 0) texts.push(usualText(name, manifest));
  const text = texts.map((one) => one.replaceAll('\r\n', '\n').trim()).join('\n\n');
  return [name, `=== ${name} (${manifest.license})\n\n${text}\n`];
}

/** The text for a package that names its licence but does not contain it, as is usual in large repositories. */
function usualText(name, { license, author }) {
  const file = new URL(`${license}.txt`, LICENCES);
  if (!existsSync(file)) {
    throw new SetupError(
      `${name} is inside the program and has no file with its licence. Add the text of ${license} to ${dirname(file.pathname)}, or do without the package.`,
    );
  }
  const holder = (typeof author === 'string' ? author : author?.name) ?? `the authors of ${name}`;
  const claim = license === 'Unlicense' ? '' : `Copyright (c) ${holder}\n\n`;
  return claim + readFileSync(file, 'utf8');
}
