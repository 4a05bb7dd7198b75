/** All benches, in the order of the report. */
import { atQuotaBench } from './atQuota.ts';
import { burstBench } from './burst.ts';
import { commandsBench } from './commands.ts';
import { contextsBench } from './contexts.ts';
import { densityBench } from './density.ts';
import { doorsBench } from './doors.ts';
import { e2bBench } from './e2b.ts';
import { egressBench } from './egress.ts';
import { enduranceBench } from './endurance.ts';
import { environmentsBench } from './environments.ts';
import { eventsBench } from './events.ts';
import { executeBench } from './execute.ts';
import { fairnessBench } from './fairness.ts';
import { fanOutBench } from './fanOut.ts';
import { filesBench } from './files.ts';
import { growthBench } from './growth.ts';
import { isolationBench } from './isolation.ts';
import { openSessionBench } from './openSession.ts';
import { pairBench } from './pair.ts';
import { recoveryBench } from './recovery.ts';
import { restartBench } from './restart.ts';
import { roundtripBench } from './roundtrip.ts';
import { sessionStartBench } from './sessionStart.ts';
import { soakBench } from './soak.ts';
import { streamBench } from './stream.ts';
import type { Bench } from './suite/bench.ts';
import { throughputBench } from './throughput.ts';
import { workerBench } from './worker.ts';

export const BENCHES: readonly Bench[] = [
  executeBench,
  doorsBench,
  e2bBench,
  roundtripBench,
  throughputBench,
  filesBench,
  streamBench,
  fanOutBench,
  restartBench,
  workerBench,
  contextsBench,
  commandsBench,
  egressBench,
  sessionStartBench,
  openSessionBench,
  environmentsBench,
  burstBench,
  recoveryBench,
  densityBench,
  eventsBench,
  isolationBench,
  growthBench,
  fairnessBench,
  atQuotaBench,
  enduranceBench,
  soakBench,
  pairBench,
];
