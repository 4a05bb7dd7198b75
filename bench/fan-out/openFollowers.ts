/** Opens many followers of one execution on few sockets, and records what each of them received, and when. */
import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { TestGateway } from '../../testkit/gateway.ts';

/** Followers on each socket, as with a proxy or a server that follows for its own users. */
const PER_SOCKET = 100;
const FOLLOW = `subscription ($id: ID!) { output(executionId: $id) {
  ... on StreamOutput { text } ... on ExecutionFinished { execution { status } } } }`;

/** The arrival of one printed line. */
export interface Arrival {
  /** How many followers have received it. */
  readonly followers: number;
  /** When the last of them received it, in milliseconds since 1970. */
  readonly lastAt: number;
}

export interface Followers {
  /** Line -> its arrival. Resolves when all followers have received the end. Rejects if a socket is closed earlier. */
  readonly arrivals: Promise<ReadonlyMap<string, Arrival>>;
  close(): void;
}

export async function openFollowers(
  gateway: TestGateway,
  executionId: string,
  count: number,
): Promise<Followers> {
  const arrivals = new Map<string, Arrival>();
  const sockets: WebSocket[] = [];
  const ends: Promise<void>[] = [];
  for (let rest = count; rest > 0; rest -= PER_SOCKET) {
    const socket = await openSocket(gateway);
    sockets.push(socket);
    ends.push(followOn(socket, executionId, Math.min(rest, PER_SOCKET), arrivals));
  }
  const all = Promise.all(ends).then(() => arrivals);
  // If the caller closes the followers early, nobody awaits this any more.
  all.catch(() => undefined);
  return {
    arrivals: all,
    close: () => {
      for (const socket of sockets) socket.terminate();
    },
  };
}

async function openSocket({ url, token }: TestGateway): Promise<WebSocket> {
  const address = `${url.replace('http', 'ws')}/graphql`;
  const socket = new WebSocket(address, ['graphql-transport-ws']);
  await once(socket, 'open');
  const acknowledged = once(socket, 'message');
  send(socket, { type: 'connection_init', payload: { 'X-Auth-Token': token } });
  await acknowledged;
  return socket;
}

function send(socket: WebSocket, message: object): void {
  socket.send(JSON.stringify(message));
}

function followOn(
  socket: WebSocket,
  id: string,
  count: number,
  arrivals: Map<string, Arrival>,
): Promise<void> {
  let open = count;
  const ended = new Promise<void>((resolve, reject) => {
    socket.on('message', (data) => {
      const lastAt = Date.now();
      const { type, payload } = JSON.parse(String(data));
      if (type === 'complete') open -= 1;
      else if (type === 'next')
        for (const line of linesOf(payload.data?.output?.text))
          arrivals.set(line, { followers: (arrivals.get(line)?.followers ?? 0) + 1, lastAt });
      else if (type !== 'ping') reject(new Error(String(data)));
      if (open === 0) resolve();
    });
    socket.once('close', (code) => reject(new Error(`The socket was closed with ${code}.`)));
  });
  for (let n = 0; n < count; n += 1)
    send(socket, {
      id: String(n),
      type: 'subscribe',
      payload: { query: FOLLOW, variables: { id } },
    });
  return ended;
}

function linesOf(text: string | undefined): string[] {
  return (text ?? '').split('\n').filter(Boolean);
}
