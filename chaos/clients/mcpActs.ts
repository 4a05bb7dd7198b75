/** What a user of MCP does. The checks are those of all cells and commands. */
import { type Act, type ActingAtDoor, submitAndInterrupt } from './acting.ts';
import type { McpCalls } from './mcpCalls.ts';

export const MCP_ACTS: readonly Act<ActingAtDoor<McpCalls>>[] = [
  { weight: 40, act: ({ name, calls, cell }) => calls.execute(name, cell('counter')) },
  { weight: 20, act: ({ name, calls, cell }) => calls.execute(name, cell('stream')) },
  { weight: 12, act: ({ name, calls, cell }) => calls.execute(name, cell('shell')) },
  { weight: 8, act: ({ name, calls, cell }) => calls.execute(name, cell('shell-stream')) },
  { weight: 8, act: (user) => submitAndInterrupt(user, 'endless') },
  { weight: 5, act: ({ name, calls, cell }) => calls.execute(name, cell('runaway')) },
  { weight: 12, act: severalAtOnce },
  { weight: 3, act: ({ name, calls }) => calls.release(name) },
  { weight: 4, act: ({ name, calls }) => calls.restartKernel(name) },
];

/** As a host does whose model calls several tools at once. */
async function severalAtOnce({ name, calls, cell }: ActingAtDoor<McpCalls>): Promise<void> {
  await Promise.all([
    calls.execute(name, cell('stream')),
    calls.execute(name, cell('counter')),
    calls.execute(name, cell('shell')),
  ]);
}
