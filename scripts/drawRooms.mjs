/**
 * Draws the rooms of `src/` and the arrows between them into docs/internals/architecture.md, from the imports that there
 * are. With `--check`, compares the picture and ends with 1 if it differs: `node scripts/drawRooms.mjs [--check]`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { arrowsIn, readRooms } from './check-arrows.mjs';
import { projectRoot } from './setup/projectRoot.mjs';

const PAGE = 'docs/internals/architecture.md';
const BEGIN = '<!-- Made by `npm run rooms`. -->';
const PICTURE = new RegExp(`${BEGIN}\n\`\`\`mermaid\n[^\`]*\`\`\``);
/** Nearly every room imports these. Their arrows would hide all others. */
const UNDRAWN = ['domain', 'async'];
/** These rooms are beside `src/`, and built on it. */
const BESIDE = ['testkit', 'chaos', 'bench'];

/**
 * The picture, in Mermaid. It leaves out each arrow that other arrows imply: if a room imports from a second one, and
 * that from a third, nothing is drawn from the first to the third.
 * @param {ReadonlyMap<string, ReadonlySet<string>>} arrows room -> the rooms that it imports from
 */
export function drawRooms(arrows) {
  const isDrawn = (room) => !UNDRAWN.includes(room) && !BESIDE.includes(room);
  const rooms = [...arrows.keys()].filter(isDrawn);
  const nextOf = (room) => [...(arrows.get(room) ?? [])].filter(isDrawn);
  const isReached = (from, to) => nextOf(from).some((next) => next === to || isReached(next, to));
  const isImplied = (room, to) => nextOf(room).some((next) => next !== to && isReached(next, to));
  const lines = rooms.flatMap((room) =>
    nextOf(room)
      .filter((to) => !isImplied(room, to))
      .sort()
      .map((to) => `  ${node(room)} --> ${node(to)}`),
  );
  return ['flowchart TD', ...lines].join('\n');
}

/** Mermaid takes no dot in the name of a node. */
function node(room) {
  return room.includes('.') ? `${room.replace('.', '_')}[${room}]` : room;
}

function main() {
  const file = join(projectRoot, PAGE);
  const page = readFileSync(file, 'utf8');
  if (!PICTURE.test(page)) throw new Error(`${PAGE} has no place for the picture: ${BEGIN}`);
  const picture = `${BEGIN}\n\`\`\`mermaid\n${drawRooms(arrowsIn(readRooms()))}\n\`\`\``;
  const drawn = page.replace(PICTURE, () => picture);
  if (!process.argv.includes('--check')) writeFileSync(file, drawn);
  else if (drawn !== page) {
    console.error(`The picture of rooms in ${PAGE} is not what the code says. Run: npm run rooms`);
    process.exitCode = 1;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) main();
