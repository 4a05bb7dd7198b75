/**
 * The proxy: an HTTP server without a port. Each connection of code is one stream, and carries one request:
 *
 * ```
 *  served --CONNECT--> dialled --> raw bytes both ways --> closed
 *     |  --Upgrade--> dialled --> sent --101--> raw bytes both ways --> closed
 *     |  --other--> dialled --> sent --> answered --> closed
 *     +--head incomplete in time, a second request, not HTTP--> closed
 * ```
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { hostText, parseTarget, type Target } from '../../domain/egress.ts';
import type { Dial, EgressSession } from '../createDial.ts';
import { malformed } from '../egressRefusal.ts';
import type { Traffic } from '../traffic.ts';
import {
  egressRefusalOf,
  forward,
  forwardUpgrade,
  hasPlainBody,
  join,
  parseAskedUrl,
  respondRefused,
  writeRefused,
} from './forward.ts';

const MAX_HEAD_BYTES = 16_384;

export interface ProxyDeps {
  /** How long the head of a request may take. */
  readonly headTimeoutMs: number;
  readonly dial: Dial;
  readonly traffic: Pick<Traffic, 'refused'>;
  /** Called with failures of the gateway, which neither the code nor the host has caused. */
  readonly onError: (error: unknown) => void;
}

export interface Proxy {
  /** Serves a connection of the session's code. The proxy owns the stream from now on. */
  serve(session: EgressSession, stream: Duplex): void;
}

interface Served {
  readonly session: EgressSession;
  readonly gone: AbortController;
  readonly headTimer: NodeJS.Timeout;
  hasBegun: boolean;
}

export function createProxy({ headTimeoutMs, dial, traffic, onError }: ProxyDeps): Proxy {
  const served = new WeakMap<Duplex, Served>();
  const server = createServer({ insecureHTTPParser: false, maxHeaderSize: MAX_HEAD_BYTES });
  server.maxRequestsPerSocket = 1;

  /** Begins the stream's only request. Null: the stream had a request before, so it is destroyed. */
  function begin(stream: Duplex): Served | null {
    const found = served.get(stream);
    if (!found || found.hasBegun) {
      stream.destroy();
      return null;
    }
    clearTimeout(found.headTimer);
    found.hasBegun = true;
    return found;
  }

  async function connect(of: Served, target: Target | undefined) {
    if (target === undefined) throw malformed();
    return await dial(of.session, target, of.gone.signal);
  }

  /**
   * Counts a refusal, and returns it, so that it can be sent to the user's code. If that code has disconnected, nothing
   * is counted.
   */
  function refuse(error: unknown, { session, gone }: Served, target: Target | undefined) {
    const refusal = egressRefusalOf(error);
    if (gone.signal.aborted && error === gone.signal.reason) return refusal;
    if (refusal !== error) onError(error);
    const host = target ? hostText(target) : '';
    const { outcome } = refusal;
    traffic.refused({ sessionId: session.id, host, port: target?.port ?? 0, outcome });
    return refusal;
  }

  async function onConnect({ url }: IncomingMessage, stream: Duplex, head: Buffer): Promise<void> {
    const of = begin(stream);
    if (of === null) return;
    const target = parseTarget(url ?? '', null) ?? undefined;
    try {
      const socket = await connect(of, target);
      stream.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      if (head.length > 0) socket.write(head);
      join(stream, socket);
    } catch (error: unknown) {
      writeRefused(stream, refuse(error, of, target));
    }
  }

  async function onUpgrade(req: IncomingMessage, stream: Duplex, head: Buffer): Promise<void> {
    const of = begin(stream);
    if (of === null) return;
    const asked = parseAskedUrl(req.url ?? '');
    try {
      const { 'transfer-encoding': encoding, 'content-length': length } = req.headers;
      if (asked === null || encoding !== undefined || length !== undefined) throw malformed();
      const socket = await connect(of, asked.target);
      forwardUpgrade(req, { stream, head }, asked, socket);
    } catch (error: unknown) {
      writeRefused(stream, refuse(error, of, asked?.target));
    }
  }

  async function onRequest(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const of = begin(req.socket);
    if (of === null) return;
    const asked = parseAskedUrl(req.url ?? '');
    try {
      if (asked === null || !hasPlainBody(req)) throw malformed();
      const socket = await connect(of, asked.target);
      forward(req, res, asked, socket);
    } catch (error: unknown) {
      respondRefused(res, refuse(error, of, asked?.target));
    }
  }

  function onClientError(error: NodeJS.ErrnoException, stream: Duplex): void {
    const of = begin(stream);
    if (of === null) return;
    const isTooLong = error.code === 'HPE_HEADER_OVERFLOW';
    writeRefused(stream, refuse(malformed(isTooLong ? 431 : 400), of, undefined));
  }

  const caught = (work: Promise<void>) => void work.catch(onError);
  server.on('connect', (req, stream, head) => caught(onConnect(req, stream, head)));
  server.on('upgrade', (req, stream, head) => caught(onUpgrade(req, stream, head)));
  server.on('request', (req, res) => caught(onRequest(req, res)));
  server.on('clientError', onClientError);

  return {
    serve: (session, stream) => {
      const gone = new AbortController();
      const headTimer = setTimeout(() => {
        const of = begin(stream);
        if (of) writeRefused(stream, refuse(malformed(408), of, undefined));
      }, headTimeoutMs);
      served.set(stream, { session, gone, headTimer, hasBegun: false });
      stream.on('error', () => undefined);
      stream.once('close', () => {
        clearTimeout(headTimer);
        gone.abort();
      });
      server.emit('connection', stream);
    },
  };
}
