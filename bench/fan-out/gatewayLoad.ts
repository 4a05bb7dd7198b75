/** Reads the load of the gateway's process. */
import { readFileSync } from 'node:fs';
import type { TestGateway } from '../../testkit/gateway.ts';

/** The unit of `/proc/PID/stat`, from USER_HZ, which is 100 on every Linux that Node runs on. */
const MS_PER_TICK = 10;
const MS_PER_S = 1_000;

/** User and system time of all the process's threads so far, in milliseconds. @throws Error if it has ended */
export function cpuMs({ pid }: TestGateway): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is the command in parentheses, which may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // Fields 14 and 15 of proc(5), counted from the third.
  return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
}

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
