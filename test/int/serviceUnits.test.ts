/** The units that `cellhouse service` writes, as systemd reads them. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { service } from '../../src/cli/service.ts';

/** From 0 to 10, less is better. Measured: 1.3. src/cli/systemdUnits.ts lists the protections that are left out. */
const MAX_EXPOSURE = 1.5;
const UNITS = ['cellhouse-backup.service', 'cellhouse-backup.timer', 'cellhouse.service'];

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ch-units-'));
  await service(['units', folder]);
});
afterAll(() => rmSync(folder, { recursive: true }));

it('writes these units', () => {
  expect(readdirSync(folder).sort()).toEqual(UNITS);
});

it.each(UNITS)('systemd understands all of %s', (name) => {
  const { status, stdout, stderr } = spawnSync(
    'systemd-analyze',
    ['verify', '--man=no', '--recursive-errors=no', join(folder, name)],
    { encoding: 'utf8' },
  );
  // systemd-analyze also warns of units of this machine if Cellhouse's units refer to them.
  const lines = `${stdout}${stderr}`.split('\n').filter((line) => line.includes('cellhouse'));
  expect(lines).toEqual([]);
  expect(status).toBe(0);
});

it.each(UNITS.filter((name) => name.endsWith('.service')))('%s exposes little', (name) => {
  const args = ['security', '--offline=true', join(folder, name)];
  const report = execFileSync('systemd-analyze', args, { encoding: 'utf8' });
  const [, exposure] = /Overall exposure level for \S+: ([\d.]+)/.exec(report) ?? [];
  expect(Number(exposure)).toBeLessThanOrEqual(MAX_EXPOSURE);
});

it('comments stand on lines of their own, since systemd takes them for values otherwise', () => {
  for (const name of UNITS)
    expect(readFileSync(join(folder, name), 'utf8')).not.toMatch(/^[A-Z]\w+=.*#/m);
});
