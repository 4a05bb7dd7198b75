/** A user of the door for MCP, whose token is for this door only. */
import type { CallRecord } from '../history.ts';
import type { CallsDeps } from './calls.ts';
import { cellsOf } from './cells.ts';
import type { Client } from './createUser.ts';
import { live } from './live.ts';
import { MCP_ACTS } from './mcpActs.ts';
import { createMcpCalls } from './mcpCalls.ts';

/** A call without an answer is not repeated, so the last one gets further chances with other cells. */
const MAX_AUDITS = 3;

/** The user starts acting immediately. */
export function createMcpUser(deps: CallsDeps & { readonly name: string }): Client {
  const { name, random } = deps;
  const calls = createMcpCalls(deps);
  const cell = cellsOf(name);
  const acting = { name, calls, random, cell };
  const life = live(deps, async () => await random.pickWeighted(MCP_ACTS)?.act(acting));

  async function audit(): Promise<CallRecord> {
    await calls.execute(name, cell('ledger'));
    for (let count = 1; ; count += 1) {
      const call = await calls.execute(name, cell('audit'));
      if (call.answer !== null || count === MAX_AUDITS) return call;
    }
  }

  return { name, stop: life.stop, audit, release: () => calls.release(name) };
}
