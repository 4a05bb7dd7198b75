/** What a user does with commands. `check/checkCommands.ts` judges what comes of it. */
import { type Act, type Acting, submitAndFollow, submitAndInterrupt } from './acting.ts';
import { fetchKeyOf, makeCell } from './cells.ts';

/** The ports of servers, each for one server of a user at a time. */
const PORTS = { first: 20_000, count: 10_000 };

export const commandActs: readonly Act[] = [
  { weight: 12, act: ({ name, calls, cell }) => calls.execute(name, cell('shell')) },
  { weight: 8, act: (user) => submitAndFollow(user, 'shell-stream') },
  { weight: 8, act: commandsBesideCells },
  { weight: 6, act: (user) => submitAndInterrupt(user, 'shell-endless') },
  { weight: 6, act: reachServer },
];

/** Nothing of a cell is to be found in the output of a command, and the other way round. */
async function commandsBesideCells({ name, calls, cell }: Acting): Promise<void> {
  await Promise.all([
    calls.execute(name, cell('shell-stream')),
    calls.execute(name, cell('shell-stream')),
    calls.execute(name, cell('stream')),
  ]);
}

/** Submits a server, reaches it from a cell, and interrupts it. */
async function reachServer({ name, calls, random, cell }: Acting): Promise<void> {
  const port = random.between(PORTS.first, PORTS.first + PORTS.count);
  const server = cell('server', port);
  const { answer } = await calls.submit(name, server);
  if (!answer?.id) return;
  await calls.execute(name, makeCell('fetch', fetchKeyOf(server.key), port));
  await calls.interrupt(name, answer.id);
}
