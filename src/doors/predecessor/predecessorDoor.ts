/** The API of the system that Cellhouse replaces: the same paths, shapes, statuses and texts (docs/doors/predecessor.md). */
import type { DoorCall, DoorDeps, Entry, OpenDoor } from '../openDoor.ts';
import { answerJson } from '../shared/jsonAnswer.ts';
import { executeCode } from './executeCode.ts';
import { misunderstood } from './readFields.ts';
import { refusalAnswer } from './refusalAnswer.ts';
import { releaseUser } from './releaseUser.ts';
import type { Reply } from './reply.ts';
import { poolStatus } from './status.ts';

interface Endpoint {
  readonly method: string;
  readonly answer: (call: DoorCall) => Promise<Reply>;
}

export function createPredecessorDoor({ settings }: DoorDeps): OpenDoor {
  const endpoints: ReadonlyMap<string, Endpoint> = new Map([
    ['/execute', { method: 'POST', answer: (call) => executeCode(call, settings) }],
    ['/release', { method: 'POST', answer: releaseUser }],
    ['/status', { method: 'GET', answer: poolStatus }],
  ]);
  return {
    name: 'predecessor',
    mounts: Object.fromEntries([...endpoints.keys()].map((path) => [path, path])),
    credentials: { headers: ['x-auth-token'], isInQuery: false },
    cors: { methods: 'GET, POST, OPTIONS', headers: 'content-type, x-auth-token', exposed: '' },
    refuse: refusalAnswer,
    enter: ({ method, path }) => {
      const endpoint = endpoints.get(path);
      if (endpoint?.method !== method) return noEndpoint(endpoint);
      return {
        type: 'guarded',
        handle: async (call) => {
          const { status, body } = await endpoint.answer(call).catch(misunderstood);
          answerJson(call.res, status, body);
        },
      };
    },
  };
}

/** That there is no such path or method needed no token. */
function noEndpoint(endpoint: Endpoint | undefined): Entry {
  const [status, detail] = endpoint ? [405, 'Method Not Allowed'] : [404, 'Not Found'];
  const headers = endpoint && { Allow: endpoint.method };
  return { type: 'open', answer: (res) => answerJson(res, status, { detail }, headers) };
}
