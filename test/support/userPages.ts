/** The pages for users and operators, and the commands that they print. */
import { readdirSync, readFileSync } from 'node:fs';

const ROOT = new URL('../../', import.meta.url).pathname;

/** Pages with operations of GraphQL, in the order in which a test runs them. Each operation is followed by its answer. */
export const GUIDE: readonly string[] = [
  'docs/use/running-code.md',
  'docs/use/streaming.md',
  'docs/use/files.md',
  'docs/use/sessions.md',
  'docs/use/contexts-and-commands.md',
  'docs/use/patterns.md',
  'docs/use/history.md',
  'docs/use/packages.md',
  'docs/use/errors-and-limits.md',
  'docs/run/access.md',
];

/** All pages for users and operators, also those that are made from the code. */
export const USER_PAGES: readonly string[] = [
  'README.md',
  ...['docs/use', 'docs/run'].flatMap((folder) =>
    readdirSync(ROOT + folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md'))
      .map((name) => `${folder}/${name}`)
      .sort(),
  ),
];

export function readPage(path: string): string {
  return readFileSync(ROOT + path, 'utf8');
}

/** The contents of all code fences of a language. */
export function fences(language: string, text: string): string[] {
  return allFences(text)
    .filter((fence) => fence.language === language)
    .map(({ content }) => content);
}

/** All code fences. A fence that names no language has the language ''. */
export function allFences(text: string): { readonly language: string; readonly content: string }[] {
  const found = text.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm);
  return [...found].map(([, language = '', content = '']) => ({ language, content }));
}

/** What is in single back-ticks, on one line each, outside of code fences. */
export function inlineCode(text: string): string[] {
  const prose = text.replace(/^```[\s\S]*?^```$/gm, '');
  return [...prose.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code.replace(/\s+/g, ' '));
}

/** The commands of all fences `sh`, in their order, each on one line and without its comment. Programs are left out. */
export function commandsIn(text: string): string[] {
  return fences('sh', text)
    .filter((fence) => !fence.startsWith('#!'))
    .flatMap((fence) => fence.replace(/\s*\\\n\s*|(?<=\|)\n\s*/g, ' ').split('\n'))
    .map((line) => line.replace(/\s+#.*$/, ''))
    .filter((line) => line !== '');
}

/**
 * The command of a page that begins with `start`.
 * @param here texts of the command -> what a test has in their place
 * @throws Error if the page has not exactly one such command, or if the command lacks one of the texts
 */
export function commandOf(
  page: string,
  start: string,
  here: Readonly<Record<string, string>> = {},
): string {
  const [command, ...others] = commandsIn(readPage(page)).filter((each) => each.startsWith(start));
  if (command === undefined || others.length > 0)
    throw new Error(`${page} must have one command that begins with: ${start}`);
  return Object.entries(here).reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`The command of ${page} lacks ${from}: ${command}`);
    return text.replaceAll(from, () => to);
  }, command);
}
