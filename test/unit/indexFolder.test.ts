import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { copyFolder, digestOfFolder } from '../../src/environments/recipe.ts';

let root: string;
let folder: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'ch-index-'));
  folder = join(root, 'wheels');
  mkdirSync(folder);
  writeFileSync(join(folder, 'alpha-1.0-py3-none-any.whl'), 'alpha');
});
afterEach(() => rmSync(root, { recursive: true }));

describe('the folder of an index', () => {
  it('has a digest of its archives and links to archives, and of nothing else', async () => {
    const before = await digestOfFolder(folder);
    writeFileSync(join(folder, 'access.log'), 'GET /simple/');
    mkdirSync(join(folder, 'old.zip'));
    expect(await digestOfFolder(folder)).toBe(before);
    writeFileSync(join(root, 'beta'), 'beta');
    symlinkSync(join(root, 'beta'), join(folder, 'beta-1.0.tar.gz'));
    expect(await digestOfFolder(folder)).not.toBe(before);
    const copy = join(root, 'copy');
    await copyFolder(folder, copy);
    expect(readdirSync(copy)).toEqual(['alpha-1.0-py3-none-any.whl', 'beta-1.0.tar.gz']);
    expect(await digestOfFolder(copy)).toBe(await digestOfFolder(folder));
  });

  it('is not read if it is too large, or if the signal is aborted', async () => {
    await expect(digestOfFolder(folder, { maxBytes: 4 })).rejects.toThrow('have more than 1 GiB');
    await expect(copyFolder(folder, join(root, 'copy'), { maxBytes: 4 })).rejects.toThrow('GiB');
    const signal = AbortSignal.abort(new Error('It was removed.'));
    await expect(digestOfFolder(folder, { signal })).rejects.toThrow('It was removed.');
  });
});
