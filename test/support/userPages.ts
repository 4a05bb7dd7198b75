/** The pages for users, in the order in which a test runs their examples. */
import { readFileSync } from 'node:fs';

/** Pages with operations of GraphQL. Each operation is followed by its answer. */
export const GUIDE = [
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
] as const;

/** Pages with commands that people copy. */
export const COMMAND_PAGES = [
  'README.md',
  'docs/run/install.md',
  'docs/use/quickstart.md',
  'docs/use/interfaces.md',
  'docs/use/integrations.md',
  ...GUIDE,
] as const;

export function readPage(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
}

/** The contents of all code fences of a language. */
export function fences(language: string, text: string): string[] {
  const found = text.matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, 'gm'));
  return [...found].map(([, content = '']) => content);
}
