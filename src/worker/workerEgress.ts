/** The egress of one worker, while this gateway holds the worker and the worker has a session. */
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import type { AgentAddress } from '../domain/agentAddress.ts';
import type { Session } from '../domain/session.ts';
import { type EgressStreams, type NotTaken, openEgressStreams } from '../kernel/egressStreams.ts';

/** Serves the connections that code in workers opens. */
export interface EgressServer {
  /** How many connections the code of one worker may have. */
  readonly maxConnections: number;
  serve(session: Session, stream: Duplex): void;
}

export interface WorkerEgress {
  /**
   * Begins egress for the worker's session. A second call changes nothing, because the hosts that a session may reach
   * are fixed when it opens.
   */
  begin(session: Session): void;
  /** Breaks all connections. Idempotent. */
  close(): void;
}

/** @param server null: nothing may be reached, and nothing is dialled */
export function createWorkerEgress(
  server: EgressServer | null,
  address: AgentAddress,
  epoch: number,
  logger: Logger,
): WorkerEgress {
  let streams: EgressStreams | null = null;
  let isClosed = false;
  return {
    begin: (session) => {
      if (server === null || isClosed) return;
      streams ??= openEgressStreams({
        address,
        epoch,
        maxConnections: server.maxConnections,
        onStream: (stream) => server.serve(session, stream),
        onFailing: (why) =>
          logger.warn(
            { workerId: session.workerId, ...detailsOf(why) },
            'code in a worker has no egress: its agent accepts no streams',
          ),
      });
    },
    close: () => {
      isClosed = true;
      streams?.close();
    },
  };
}

function detailsOf(why: NotTaken) {
  return why.kind === 'lost' ? { err: why.error } : { status: why.status };
}
