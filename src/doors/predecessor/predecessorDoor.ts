/** The API of the system that Cellhouse replaces: the same paths, shapes, statuses and texts (docs/doors/predecessor.md). */
import type { ServerResponse } from 'node:http';
import type { DoorCall, DoorDeps, OpenDoor } from '../openDoor.ts';
import { executeCode } from './executeCode.ts';
import { refusalAnswer } from './refusalAnswer.ts';
import { releaseUser } from './releaseUser.ts';
import { detail, type Reply } from './reply.ts';
import { status } from './status.ts';

interface Endpoint {
  readonly method: string;
  readonly answer: (call: DoorCall) => Promise<Reply>;
}

export function createPredecessorDoor({ settings }: DoorDeps): OpenDoor {
  const endpoints: ReadonlyMap<string, Endpoint> = new Map([
    ['/execute', { method: 'POST', answer: (call) => executeCode(call, settings) }],
    ['/release', { method: 'POST', answer: releaseUser }],
    ['/status', { method: 'GET', answer: status }],
  ]);
  return {
    name: 'predecessor',
    mounts: Object.fromEntries([...endpoints.keys()].map((path) => [path, path])),
    credentials: { headers: ['x-auth-token'], isInQuery: false },
    cors: { methods: 'GET, POST, OPTIONS', headers: 'content-type, x-auth-token', exposed: '' },
    refuse: refusalAnswer,
    // That there is no such path or method needed no token.
    handleOpen: ({ method, path, res }) => {
      const endpoint = endpoints.get(path);
      if (endpoint?.method === method) return false;
      if (endpoint === undefined) send(res, detail(404, 'Not Found'));
      else send(res.setHeader('Allow', endpoint.method), detail(405, 'Method Not Allowed'));
      return true;
    },
    handle: async (call) => {
      const endpoint = endpoints.get(call.path);
      if (endpoint === undefined) throw new Error(`${call.path} is no path of the door.`);
      send(call.res, await endpoint.answer(call));
    },
  };
}

function send(res: ServerResponse, { status: code, body }: Reply): void {
  const text = JSON.stringify(body);
  res.writeHead(code, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
  });
  res.end(text);
}
