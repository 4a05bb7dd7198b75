/** What following costs the gateway's process, except its CPU time. */
import type { TestGateway } from '../../testkit/gateway.ts';

const MS_PER_S = 1_000;

export interface GatewayMetrics {
  readonly followers: number;
  /** The 99th percentile since the last call. */
  readonly loopDelayMs: number;
}

export async function readMetrics({ url, token }: TestGateway): Promise<GatewayMetrics> {
  const response = await fetch(`${url}/metrics`, { headers: { 'X-Auth-Token': token } });
  const body = await response.text();
  const gauge = (name: string) =>
    Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(body)?.[1] ?? Number.NaN);
  return {
    followers: gauge('cellhouse_output_followers'),
    loopDelayMs: gauge('cellhouse_event_loop_delay_p99_seconds') * MS_PER_S,
  };
}
