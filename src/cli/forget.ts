import { pino } from 'pino';
import { type Config, loadConfig } from '../config/config.ts';
import type { GatewayId } from '../domain/ids.ts';
import type { Owner } from '../domain/owner.ts';
import { quoted } from '../domain/quoted.ts';
import type { DatabaseAddress } from '../events/connection/databaseAddress.ts';
import { openDatabase } from '../events/openDatabase.ts';
import { forgetHistory } from '../events/retention/forget/forgetHistory.ts';
import { databaseAddress } from '../gateway.ts';
import { newId } from '../process/newId.ts';
import { withActor } from '../service/access/actorDeps.ts';
import { endOwner } from '../service/forget/endOwner.ts';
import { untilEnded } from '../service/forget/untilEnded.ts';
import { forgetArguments } from './forgetArguments.ts';
import { CLI } from './token.ts';

/**
 * `cellhouse forget`: ends what a user or a tenant has open, and removes what they ran, sent and got from all tables.
 * @param words the arguments after `forget`
 */
export async function forget(words: readonly string[]): Promise<void> {
  forgetArguments(words);
  const config = loadConfig(process.env);
  const address = await databaseAddress(config, pino({ level: config.logLevel }));
  await runForget(words, { config, address, print: (line) => console.log(line) });
}

export interface ForgetDeps {
  readonly config: Pick<Config, 'logLevel'>;
  readonly address: DatabaseAddress;
  readonly print: (line: string) => void;
}

/**
 * The work of {@link forget} on a database.
 * @throws Error, with a message for the operator, also if nothing of the owner was found: the name may be misspelt
 */
export async function runForget(
  words: readonly string[],
  { config, address, print }: ForgetDeps,
): Promise<void> {
  const owner = forgetArguments(words);
  const logger = pino({ level: config.logLevel });
  const opened = await openDatabase(address, { gatewayId: newId<GatewayId>(), logger, newId });
  try {
    const deps = { database: withActor(opened, CLI), now: () => new Date() };
    const { tokens, sessions } = await endOwner(deps, owner);
    print(
      `Revoked ${tokens} tokens and ended ${sessions} sessions. Waiting until nothing goes on.`,
    );
    await untilEnded(deps, owner);
  } finally {
    await opened.close();
  }
  const { streams, events, outputs } = await forgetHistory(address, { owner, newId });
  if (streams === 0) throw new Error(nothingOf(owner));
  print(
    `Forgotten: the content of ${streams} streams with ${events} events, and ${outputs} outputs. No table has it any more.`,
  );
  print(
    'Not reached: the write-ahead log, backups, archives of cellhouse prune, logs (docs/audit.md).',
  );
}

/** The command cannot tell a misspelt name from one that was forgotten before. */
function nothingOf({ tenant, userUuid }: Owner): string {
  const whom = userUuid === null ? '' : `the user ${quoted(userUuid)} of `;
  return `Nothing was found of ${whom}the tenant ${quoted(tenant)}, so nothing was forgotten. Check the names, unless an earlier run was interrupted at its end: it is complete now.`;
}
