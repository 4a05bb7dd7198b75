/** What the API of E2B has, and Cellhouse has not. A sandbox that is not there is told before that. */
import { answerError } from '../answer.ts';
import { openSandbox } from './openSandbox.ts';
import type { ControlRoute, Serve } from './route.ts';

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];

/** Of a sandbox, with the method of each, and what is not there. */
const OF_SANDBOXES: Readonly<Record<string, readonly [method: string, what: string]>> = {
  pause: ['POST', 'A sandbox cannot be paused'],
  resume: ['POST', 'A sandbox cannot be paused or resumed'],
  snapshots: ['POST', 'There are no snapshots of sandboxes'],
  fork: ['POST', 'A sandbox cannot be forked'],
  logs: ['GET', 'There are no logs of sandboxes; the audit has what was run'],
};

const OTHERS: Readonly<Record<string, string>> = {
  snapshots: 'There are no snapshots',
  templates: 'Templates cannot be made or changed here: a template is an environment of Cellhouse',
  volumes: 'There are no volumes',
  secrets: 'There are no secrets',
  teams: 'There are no teams',
};

export const NOT_YET_ROUTES: readonly ControlRoute[] = [
  ...Object.entries(OF_SANDBOXES).map(([name, [method, what]]) => ({
    path: new RegExp(`^(?:/v\\d+)?/sandboxes/([^/]+)/${name}$`),
    methods: { [method]: refuseOf(what) },
  })),
  ...Object.entries(OTHERS).map(([name, what]) => ({
    path: new RegExp(`^(?:/v\\d+)?/${name}(?:/.*)?$`),
    methods: Object.fromEntries(METHODS.map((method) => [method, refuse(what)])),
  })),
];

function refuseOf(what: string): Serve {
  return async (request) => {
    await openSandbox(request);
    await refuse(what)(request);
  };
}

function refuse(what: string): Serve {
  return async ({ call }) => answerError(call.res, 501, `${what}.`);
}
