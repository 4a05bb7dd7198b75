import { sealAll } from '../../src/events/chain/auditKeeper.ts';
import { verifyChain } from '../../src/events/chain/verifyChain.ts';
import { createClient, type DatabaseAddress } from '../../src/events/connection/client.ts';
import { createChainQueries } from '../../src/events/queries/listQueries.ts';
import type { Figure } from '../suite/bench.ts';

const MS_PER_S = 1_000;
const CLOSE_TIMEOUT_MS = 2_000;

/** Measures how fast a history is sealed without pauses, and then verified. */
export async function measureChain(address: DatabaseAddress): Promise<Figure[]> {
  const client = createClient(address, { name: 'chain bench', maxConnections: 1 });
  const queries = createChainQueries(client);
  const sealing = performance.now();
  await sealAll(queries, { gatewayId: 'bench', pauses: 0, isOver: () => false });
  const verifying = performance.now();
  const heads = await queries.auditHeads();
  await client.close(CLOSE_TIMEOUT_MS);
  const { events, unsealed, findings } = await verifyChain(address, heads);
  const done = performance.now();
  if (unsealed > 0 || findings.length > 0) throw new Error(findings.join());
  const perSecond = (ms: number) => events / (ms / MS_PER_S);
  return [
    {
      name: 'sealing into the audit chain',
      unit: 'events/s',
      value: perSecond(verifying - sealing),
    },
    { name: 'audit verify', unit: 'events/s', value: perSecond(done - verifying) },
    { name: 'audit verify of all events', unit: 's', value: (done - verifying) / MS_PER_S },
  ];
}
