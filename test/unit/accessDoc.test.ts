import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { ROLES } from '../../src/domain/token.ts';
import { PERMISSIONS, type Permission } from '../../src/service/access/permissions.ts';

const DOC = readFileSync(new URL('../../docs/run/access.md', import.meta.url), 'utf8');

/** What the table says about a role. */
function cellOf(role: (typeof ROLES)[number], { roles }: Permission): string {
  if (!roles.includes(role)) return 'no';
  return role === 'USER' ? 'own' : 'yes';
}

it('the table of docs/run/access.md has each operation once, with the roles that may call it', () => {
  const [, table = ''] =
    DOC.split('\n## Roles\n')[1]?.split('| --- | --- | --- | --- | --- |\n') ?? [];
  const rows = (table.split('\n\n')[0] ?? '').split('\n').map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  const told = rows.flatMap(([names = '', ...cells]) =>
    [...names.matchAll(/`(\w+)`/g)].map(([, name]) => [name, ...cells]),
  );
  const permissions: Readonly<Record<string, Permission>> = PERMISSIONS;
  const expected = Object.entries(permissions).map(([name, permission]) => [
    name,
    ...ROLES.map((role) => cellOf(role, permission)),
  ]);
  expect(told.length).toBeGreaterThan(40);
  expect(told.toSorted()).toEqual(expected.toSorted());
});
