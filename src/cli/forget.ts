/** `cellhouse forget`: removes the content and the names of a user or a tenant. */

import { createInterface } from 'node:readline';
import { pino } from 'pino';
import { type Config, loadConfig } from '../config/config.ts';
import type { GatewayId } from '../domain/ids.ts';
import { quoted } from '../domain/text.ts';
import type { Owner } from '../domain/users.ts';
import type { DatabaseAddress } from '../events/connection/client.ts';
import { openDatabase } from '../events/openDatabase.ts';
import type { Held } from '../events/queries/ownerQueries.ts';
import { forgetHistory } from '../events/retention/forget.ts';
import { databaseAddress } from '../gateway.ts';
import { newId } from '../process/newId.ts';
import { withActor } from '../service/access/actorDeps.ts';
import { endOwner, untilEnded } from '../service/forget.ts';
import { parseOptions } from './commandLine.ts';
import { CLI } from './token.ts';

/** The tenant of AUTH_TOKEN. */
const DEFAULT_TENANT = 'default';
const EXAMPLE = 'Example: cellhouse forget --user ann --tenant default';

export interface ForgetRequest {
  readonly owner: Owner;
  /** Whether the operator has confirmed on the command line. */
  readonly isConfirmed: boolean;
}

/** Parses the words after `cellhouse forget`. @throws Error that says what is wrong, with a correct example */
export function forgetArguments(words: readonly string[]): ForgetRequest {
  const options = {
    user: { type: 'string' },
    tenant: { type: 'string' },
    yes: { type: 'boolean', default: false },
  } as const;
  const { user, tenant, yes: isConfirmed } = parseOptions(words, { options }).values;
  if (user === '') throw new Error(`--user needs the name of a user. ${EXAMPLE}`);
  if (tenant === '') throw new Error(`--tenant needs the name of a tenant. ${EXAMPLE}`);
  if (user !== undefined)
    return { owner: { tenant: tenant ?? DEFAULT_TENANT, userUuid: user }, isConfirmed };
  if (tenant !== undefined) return { owner: { tenant, userUuid: null }, isConfirmed };
  throw new Error(`--user or --tenant is needed: who is to be forgotten? ${EXAMPLE}`);
}

/**
 * `cellhouse forget`: ends what a user or a tenant has open, and removes what they ran, sent and got from all tables.
 * @param words the arguments after `forget`
 */
export async function forget(words: readonly string[]): Promise<void> {
  forgetArguments(words);
  const config = loadConfig(process.env);
  const address = await databaseAddress(config, pino({ level: config.logLevel }));
  const print = (line: string) => console.log(line);
  await runForget(words, { config, address, print, ask: askAtTerminal() });
}

export interface ForgetDeps {
  readonly config: Pick<Config, 'logLevel'>;
  readonly address: DatabaseAddress;
  readonly print: (line: string) => void;
  /** Null: there is no terminal to ask at. */
  readonly ask: Ask | null;
}

/**
 * The work of {@link forget} on a database. It says what is about to be forgotten, and goes on if that is confirmed.
 * @throws Error, with a message for the operator, also if nothing of the owner was found: the name may be misspelt
 */
export async function runForget(
  words: readonly string[],
  { config, address, print, ask }: ForgetDeps,
): Promise<void> {
  const { owner, isConfirmed } = forgetArguments(words);
  const logger = pino({ level: config.logLevel });
  const opened = await openDatabase(address, { gatewayId: newId<GatewayId>(), logger, newId });
  try {
    const deps = { database: withActor(opened, CLI), now: () => new Date() };
    print(announcement(owner, await opened.queries.heldBy(owner)));
    if (!isConfirmed) await requireConfirmation(owner, ask);
    const { tokens, sessions } = await endOwner(deps, owner);
    print(
      `Revoked ${tokens} tokens and ended ${sessions} sessions. Waiting until all running work has ended.`,
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
    'Not reached: the write-ahead log, backups, archives of cellhouse prune, logs (docs/run/forget.md).',
  );
}

/** What is about to be forgotten. A tenant is forgotten with all of its users, which is easily overlooked. */
function announcement(owner: Owner, held: Held): string {
  const { users, sessions, openSessions, contexts, notebooks, executions, outputBytes } = held;
  const whom = owner.userUuid === null ? `, with all of its users (${users} had sessions)` : '';
  return `This forgets ${nameOf(owner)}${whom}: ${sessions} sessions, of which ${openSessions} are open, ${contexts} contexts, ${notebooks} notebooks, ${executions} executions with ${outputBytes} bytes of output, ${held.fileChanges} changes of files, ${held.tokens} tokens and ${held.quotas} quotas. It cannot be undone.`;
}

/** Makes the operator type the name, which shows that it was read. @throws Error if it is not typed */
async function requireConfirmation(owner: Owner, ask: Ask | null): Promise<void> {
  if (ask === null)
    throw new Error('Nothing was forgotten. Confirm with --yes, or call this at a terminal.');
  const name = owner.userUuid ?? owner.tenant;
  const answer = await ask(`Type the name ${quoted(name)} without quotes to go on: `);
  if (answer !== name) throw new Error('Nothing was forgotten: that is not the name.');
}

function nameOf({ tenant, userUuid }: Owner): string {
  const whom = userUuid === null ? '' : `the user ${quoted(userUuid)} of `;
  return `${whom}the tenant ${quoted(tenant)}`;
}

/** The command cannot tell a misspelt name from one that was forgotten before. */
function nothingOf(owner: Owner): string {
  return `Nothing was found of ${nameOf(owner)}, so nothing was forgotten. Check the names, unless an earlier run was interrupted at its end: it is complete now.`;
}

/** Asks the person at the terminal. Resolves with the line that was typed, or with '' if the input has ended. */
export type Ask = (question: string) => Promise<string>;

/** Null: input or output is not a terminal, so nobody could see or answer the question. */
export function askAtTerminal(
  input: NodeJS.ReadableStream & { readonly isTTY?: boolean } = process.stdin,
  output: NodeJS.WritableStream & { readonly isTTY?: boolean } = process.stdout,
): Ask | null {
  if (!input.isTTY || !output.isTTY) return null;
  return (question) =>
    new Promise((resolve) => {
      const lines = createInterface({ input, output });
      lines.question(question, (answer) => {
        resolve(answer);
        lines.close();
      });
      // Ctrl-C and Ctrl-D.
      lines.once('close', () => resolve(''));
    });
}
