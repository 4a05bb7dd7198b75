import { expect, it } from 'vitest';
import { clientsMarkdown, clientsText } from '../../src/cli/clients.ts';
import { SERVED_DOORS } from '../../src/domain/token.ts';
import { commandOf } from '../support/userPages.ts';

const AT = {
  url: 'http://127.0.0.1:3874',
  token: 'TOKEN',
  program: '/path/to/cellhouse/dist/cli.js',
};

const INTRODUCTION = `# What to paste into each client

\`npx cellhouse doors\` shows these lines with a fresh token for one door only, and with your address. Behind a proxy or
under Docker Compose, give the address with \`--url\`.
`;

it('docs/use/doors/clients.md has what cellhouse doors shows', async () => {
  const parts = SERVED_DOORS.map((door) => clientsMarkdown(door, AT));
  await expect([INTRODUCTION, ...parts].join('\n')).toMatchFileSnapshot(
    '../../docs/use/doors/clients.md',
  );
});

it('docs/use/doors/mcp.md shows the same command for Claude Code', () => {
  const command = commandOf('docs/use/doors/mcp.md', 'claude mcp add ');
  expect(clientsText('mcp', { ...AT, token: '$TOKEN' })).toContain(`\n${command}\n`);
});

it.each(SERVED_DOORS)('the lines for %s have the address and the token of the caller', (door) => {
  const at = { url: 'https://code.example.com', token: 'ch_secret', program: '/x/cli.js' };
  const text = clientsText(door, at);
  for (const part of text.split('\n-- ')) {
    expect(part).toContain('ch_secret');
    expect(part).toContain('code.example.com');
  }
  expect(text).not.toContain('127.0.0.1');
});
