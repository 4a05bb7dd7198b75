/** A token in the shape of E2B's keys, made as operators make one. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestGateway } from '../../../testkit/gateway.ts';
import { runCli } from '../../../testkit/runCli.ts';

/** @returns its secret */
export async function e2bKey({ env }: Pick<TestGateway, 'env'>, name: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'ch-key-'));
  const file = join(folder, 'key');
  const words = ['token', 'create', '--name', name, '--role', 'tenant', '--shape', 'e2b'];
  try {
    const { code, output } = await runCli([...words, '--output', file], env);
    if (code !== 0) throw new Error(`No key was made: ${output}`);
    return readFileSync(file, 'utf8').trim();
  } finally {
    rmSync(folder, { recursive: true });
  }
}
