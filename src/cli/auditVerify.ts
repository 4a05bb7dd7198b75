import { pino } from 'pino';
import { loadConfig } from '../config/config.ts';
import type { AuditHead } from '../domain/auditHead.ts';
import { type Verified, verifyChain } from '../events/chain/verifyChain.ts';
import { databaseAddress } from '../gateway.ts';
import { createAuditHeads, readAuditHeads } from '../process/dataDir.ts';
import { parseOptions } from './commandLine.ts';

/**
 * `cellhouse audit verify`: checks all events against the audit chain. The exit code is 1 if anything is found.
 * @param words the arguments after `audit verify`
 */
export async function auditVerify(words: readonly string[]): Promise<void> {
  const file = headsFile(words);
  const config = loadConfig(process.env);
  const address = await databaseAddress(config, pino({ level: config.logLevel }));
  const heads = file === null ? await createAuditHeads(config.dataDir).read() : await read(file);
  const startedAt = performance.now();
  const verified = await verifyChain(address, withoutRepeats(heads));
  for (const line of report(verified, (performance.now() - startedAt) / 1_000)) console.log(line);
  if (verified.findingCount > 0) process.exitCode = 1;
}

/** The file that `--heads` names. Null: the gateway's own file. */
export function headsFile(words: readonly string[]): string | null {
  const { heads } = parseOptions(words, { options: { heads: { type: 'string' } } }).values;
  if (heads === '') throw new Error('--heads needs the name of a file. See cellhouse --help.');
  return heads ?? null;
}

async function read(file: string): Promise<AuditHead[]> {
  const heads = await readAuditHeads(file);
  if (heads.length === 0) throw new Error(`${file} has no line with a head of the audit chain.`);
  return heads;
}

/** Removes repeated heads. The logs of several gateways contain each head several times. */
function withoutRepeats(heads: readonly AuditHead[]): AuditHead[] {
  return [...new Map(heads.map((head) => [JSON.stringify(head), head])).values()];
}

/** The lines for the operator: each finding, then the totals. */
export function report(verified: Verified, seconds: number): string[] {
  const { findings, findingCount, events, position, unsealed, outsideHeads, chainId } = verified;
  const more = findingCount - findings.length;
  return [
    ...findings.map((finding) => `FOUND: ${finding}`),
    ...(more > 0 ? [`FOUND: ${more} more, which are not listed.`] : []),
    chainId === null
      ? 'There is no chain yet: a gateway begins one within seconds of its start.'
      : `Compared ${events} links up to position ${position} of chain ${chainId} in ${seconds.toFixed(1)} s.`,
    ...(unsealed > 0
      ? [`${unsealed} events are not sealed yet, so nothing is known about them.`]
      : []),
    outsideHeads > 0
      ? `Compared ${outsideHeads} heads that were noted outside of the database.`
      : 'No head from outside of the database was compared: a chain that was computed anew would not be noticed. Give --heads FILE.',
    findingCount > 0 ? `${findingCount} findings.` : 'Nothing was found.',
  ];
}
