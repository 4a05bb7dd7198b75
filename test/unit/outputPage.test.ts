import { expect, it } from 'vitest';
import type { ExecutionId } from '../../src/domain/ids.ts';
import type { OutputItem, OutputsRead } from '../../src/domain/output.ts';
import { createFreshOutputs } from '../../src/events/outputs/freshOutputs.ts';
import type { PreparedCommit } from '../../src/events/store/preparedCommit.ts';
import { outputPage } from '../../src/service/output/followOutput.ts';
import { AUTH_TOKEN_HOLDER } from '../../src/service/principal.ts';
import type { ServiceDeps } from '../../src/service/serviceDeps.ts';

const executionId = 'e' as ExecutionId;
const at = new Date(0);
const printed = (seq: number): OutputItem => ({
  ...{ executionId, seq, at },
  output: { kind: 'stream', name: 'stdout', text: `${seq}\n` },
});
const REST: OutputsRead = {
  items: [printed(2), { executionId, seq: 3, at, output: { kind: 'finish' } }],
  isEnd: true,
};
const ofAnn = { id: executionId, tenant: AUTH_TOKEN_HOLDER.tenant, userUuid: 'ann' };

/** A gateway that has stored the first output. Another one took the worker over, and stored the rest. */
function gatewayThatIsBehind(): Pick<ServiceDeps, 'database'> {
  const fresh = createFreshOutputs();
  const outputs = [printed(1)];
  fresh.stored({ commit: { outputs }, outputBodies: [{ bytes: 1 }] } as unknown as PreparedCommit);
  const queries = {
    outputs: async (...asked: Parameters<typeof fresh.ofExecution>) =>
      fresh.ofExecution(...asked) ?? REST,
  };
  return { database: { queries } } as unknown as Pick<ServiceDeps, 'database'>;
}

it('outputs that another gateway stored last are in the pages of an execution that has ended', async () => {
  const deps = gatewayThatIsBehind();
  const ended = { ...ofAnn, finishedAt: at };
  const first = await outputPage(deps, AUTH_TOKEN_HOLDER, ended, 0);
  expect(first).toEqual({ items: [printed(1)], isEnd: false });
  expect(await outputPage(deps, AUTH_TOKEN_HOLDER, ended, 1)).toEqual(REST);
});

it('while an execution runs, its pages may end with the last output that this gateway has stored', async () => {
  const deps = gatewayThatIsBehind();
  const running = { ...ofAnn, finishedAt: null };
  const nothing = { items: [], isEnd: false };
  expect(await outputPage(deps, AUTH_TOKEN_HOLDER, running, 1)).toEqual(nothing);
});
