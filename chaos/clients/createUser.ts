/** One user: a client that performs one random action after the other until it is stopped. */

import { setTimeout as delay } from 'node:timers/promises';
import type { CallRecord, CellKind, StreamRecord, WatchRecord } from '../history.ts';
import type { Random } from '../random.ts';
import { ACTS, type Acting } from './acts.ts';
import { untilAnswered } from './attempts.ts';
import { type Calls, type CallsDeps, createCalls } from './calls.ts';
import { cellsOf } from './cells.ts';
import { createFiles, type FilesDeps } from './files.ts';
import { createInputs, type InputsDeps } from './inputs.ts';
import { type Access, opening } from './operator.ts';
import { followOutput, watchUser } from './subscribe.ts';

interface UserDeps extends CallsDeps, FilesDeps, InputsDeps {
  readonly name: string;
  readonly credentials: Access;
  /** The environment in which the user opens sessions. Null: none. */
  readonly environment: string | null;
  readonly recordStream: (stream: StreamRecord) => void;
  readonly recordWatch: (watch: WatchRecord) => void;
}

/** A user of any wire. */
export interface Client {
  readonly name: string;
  /** Stops the user. Resolves when its last action is done. */
  stop(): Promise<void>;
  /**
   * Runs a last cell in each kernel, which prints the keys of all cells that have run there, and a last command, which
   * prints the keys of all commands that have run. A user of GraphQL also lists the files, and stops watching once the
   * end of the last cell has arrived.
   */
  audit(): Promise<CallRecord>;
  release(): Promise<CallRecord>;
}

/** A user of GraphQL. */
export interface User extends Client {
  readonly access: Access;
  /** Runs one cell of this kind as the user's next action. Null if the user stopped before that. */
  ask(kind: CellKind): Promise<CallRecord | null>;
}

interface Asked {
  readonly kind: CellKind;
  readonly resolve: (call: CallRecord | null) => void;
}

/** The user starts acting immediately. */
export function createUser({ environment, ...given }: UserDeps): User {
  const { name, random } = given;
  const open = environment === null ? null : opening(name, environment);
  const deps = { ...given, ...(open && { reopen: open }) };
  const openNow = async () => open && (await untilAnswered(deps, open));
  const plainCalls = createCalls(deps);
  const calls: Calls = {
    ...plainCalls,
    release: async (user) => {
      const released = await plainCalls.release(user);
      await openNow();
      return released;
    },
  };
  const opened = openNow();
  opened.catch(() => undefined);
  const files = createFiles(deps);
  const inputs = createInputs(deps);
  const asked: Asked[] = [];
  const cell = cellsOf(name);
  const follow = async (executionId: string) =>
    deps.recordStream(await followOutput(deps, name, executionId));
  const watch = watchUser(deps, name);
  const contexts = new Map<string, string>();
  const acting: Acting = { name, calls, files, inputs, random, cell, follow, contexts };

  const life = live(deps, async () => {
    await opened;
    const next = asked.shift();
    if (next) next.resolve(await calls.execute(name, cell(next.kind)));
    else await random.pickWeighted(ACTS)?.act(acting);
  });
  return {
    name,
    access: deps.credentials,
    ask: (kind) =>
      new Promise((resolve) => {
        if (life.isOver) resolve(null);
        else asked.push({ kind, resolve });
      }),
    stop: async () => {
      await life.stop();
      for (const { resolve } of asked.splice(0)) resolve(null);
    },
    audit: async () => {
      for (const contextId of contexts.values())
        await calls.execute(name, cell('audit'), contextId);
      await calls.execute(name, cell('ledger'));
      const call = await calls.execute(name, cell('audit'));
      await files.list(name);
      deps.recordWatch(await watch.end(call.answer?.id ?? null));
      return call;
    },
    release: () => plainCalls.release(name),
  };
}

// The life of a user: one action after the other until it is stopped.

const THINK_MEAN_MS = 150;

interface Life {
  readonly isOver: boolean;
  /** Resolves when the last action is done. */
  stop(): Promise<void>;
}

/** Begins immediately. A failure of an action is reported by {@link Life.stop}. */
export function live(
  { random, signal }: { readonly random: Random; readonly signal: AbortSignal },
  act: () => Promise<unknown>,
): Life {
  const stopping = new AbortController();
  const untilStopped = async () => {
    while (!stopping.signal.aborted) {
      await act();
      const pause = { signal: AbortSignal.any([signal, stopping.signal]) };
      await delay(random.waitMs(THINK_MEAN_MS), undefined, pause).catch(() => undefined);
    }
  };
  const living = untilStopped();
  living.catch(() => undefined);
  return {
    get isOver() {
      return stopping.signal.aborted;
    },
    stop: async () => {
      stopping.abort();
      await living;
    },
  };
}
