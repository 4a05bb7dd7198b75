/** Which users of one gateway get which idle workers, so that all gateways together keep to the fair order. */

import type { WaitingPlace } from '../../domain/waitingPlace.ts';
import type { Worker } from '../../domain/worker.ts';
import { fairOrder, type Shares } from './fairOrder.ts';

/** Idle workers by the name of their environment, best first. Null: those of no environment. */
export type IdleWorkers = ReadonlyMap<string | null, readonly Worker[]>;

export interface Dealing<T extends WaitingPlace> extends Shares {
  /** The users who wait at this gateway. */
  readonly own: readonly T[];
  /** The users who wait at other gateways. Those who wait here, too, count only here. */
  readonly elsewhere: readonly WaitingPlace[];
  readonly idle: IdleWorkers;
  /** Whether this worker was left for other gateways long enough. */
  readonly isOverdue: (worker: Worker) => boolean;
}

export interface Dealt<T> {
  readonly given: readonly { readonly place: T; readonly worker: Worker }[];
  /** Workers that are left for users of other gateways, though users wait here. */
  readonly left: readonly Worker[];
}

/**
 * Gives the idle workers of each environment to the users of this gateway whose turns come first. The other workers are
 * left for users of other gateways whose turns have come. A worker that is overdue goes to the next user of this
 * gateway who waits for its environment. No worker goes to a user of another environment.
 */
export function dealWorkers<T extends WaitingPlace>(dealing: Dealing<T>): Dealt<T> {
  const { own, idle, isOverdue } = dealing;
  const inTurn = turnsOf(dealing);
  const given: { place: T; worker: Worker }[] = [];
  const left: Worker[] = [];
  for (const [environment, workers] of idle) {
    const mine = own.filter((place) => place.environment === environment);
    const first = inTurn.filter((place) => place.environment === environment);
    const rest = fairOrder(
      mine.filter((place) => !first.includes(place)),
      dealing,
    );
    let waits = mine.length;
    for (const [index, worker] of workers.entries()) {
      const place = first[index] ?? (isOverdue(worker) ? rest.next().value : undefined);
      if (place) given.push({ place, worker });
      else if (waits > 0) left.push(worker);
      if (place) waits -= 1;
    }
  }
  return { given, left };
}

/** The users of this gateway whose turn comes before the idle workers run out, in the order of their turns. */
function turnsOf<T extends WaitingPlace>({ own, elsewhere, idle, ...shares }: Dealing<T>): T[] {
  const here = new Set(own.map(({ user }) => user));
  const others = elsewhere.filter(({ user }) => !here.has(user));
  const isOwn = (place: T | WaitingPlace): place is T => here.has(place.user);
  const rest = new Map([...idle].map(([environment, { length }]) => [environment, length]));
  let count = [...rest.values()].reduce((sum, length) => sum + length, 0);
  const turns: T[] = [];
  const order = fairOrder<T | WaitingPlace>([...own, ...others], shares);
  for (let turn = order.next(); !turn.done && count > 0; ) {
    const place = turn.value;
    const left = rest.get(place.environment) ?? 0;
    if (left > 0) {
      rest.set(place.environment, left - 1);
      count -= 1;
      if (isOwn(place)) turns.push(place);
    }
    turn = order.next(left > 0 ? 'served' : 'passed over');
  }
  return turns;
}
