/** The way out of one worker, while this gateway holds it and it has a session. */
import type { Duplex } from 'node:stream';
import type { AgentAddress } from '../domain/agentAddress.ts';
import type { Session } from '../domain/session.ts';
import { type EgressStreams, openEgressStreams } from '../kernel/egress/egressStreams.ts';

/** Who serves connections of code. */
export interface EgressServer {
  /** How many connections the code of one worker may have. */
  readonly maxConnections: number;
  serve(session: Session, stream: Duplex): void;
}

export interface WorkerEgress {
  /** The worker has this session. Calling it again changes nothing: what a session may reach is fixed when it opens. */
  begin(session: Session): void;
  /** Breaks all connections. Idempotent. */
  close(): void;
}

/** @param server null: nothing may be reached, and nothing is dialled */
export function createWorkerEgress(
  server: EgressServer | null,
  { address, epoch }: { readonly address: AgentAddress; readonly epoch: number },
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
      });
    },
    close: () => {
      isClosed = true;
      streams?.close();
    },
  };
}
