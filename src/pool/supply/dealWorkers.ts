/** Which users of one gateway get which idle workers, so that all gateways together keep to the fair order. */

import type { WaitingPlace } from '../../domain/waitingPlace.ts';
import type { Worker } from '../../domain/worker.ts';
import { fairOrder, type Shares } from './fairOrder.ts';

export interface Dealing<T extends WaitingPlace> extends Shares {
  /** The users who wait at this gateway. */
  readonly own: readonly T[];
  /** The users who wait at other gateways. Those who wait here, too, count only here. */
  readonly elsewhere: readonly WaitingPlace[];
  /** Best first. */
  readonly idle: readonly Worker[];
  /** Whether this worker was left for other gateways long enough. */
  readonly isOverdue: (worker: Worker) => boolean;
}

export interface Dealt<T> {
  readonly given: readonly { readonly place: T; readonly worker: Worker }[];
  /** Workers that are left for users of other gateways, though users wait here. */
  readonly left: readonly Worker[];
}

/**
 * Gives a worker to each own user who has one of the first turns, as many as there are workers. The other workers are
 * left for the users of other gateways who have those turns. One that is overdue goes to the next own user.
 */
export function dealWorkers<T extends WaitingPlace>(dealing: Dealing<T>): Dealt<T> {
  const { own, idle, isOverdue } = dealing;
  const here = new Set(own.map(({ user }) => user));
  const elsewhere = dealing.elsewhere.filter(({ user }) => !here.has(user));
  const order = fairOrder<T | WaitingPlace>([...own, ...elsewhere], dealing);
  const isOwn = (place: T | WaitingPlace): place is T => here.has(place.user);
  const mine = take(order, idle.length).filter(isOwn);
  const given = mine.flatMap((place, index) => {
    const worker = idle[index];
    return worker ? [{ place, worker }] : [];
  });
  const left: Worker[] = [];
  for (const worker of idle.slice(given.length)) {
    const place = isOverdue(worker) ? next(order, isOwn) : null;
    if (place !== null) given.push({ place, worker });
    else if (given.length < own.length) left.push(worker);
  }
  return { given, left };
}

function take<T>(order: Generator<T>, count: number): T[] {
  return Array.from({ length: count }, () => order.next()).flatMap((turn) =>
    turn.done ? [] : [turn.value],
  );
}

function next<T, U extends T>(order: Generator<T>, isWanted: (value: T) => value is U): U | null {
  for (let turn = order.next(); !turn.done; turn = order.next()) {
    if (isWanted(turn.value)) return turn.value;
  }
  return null;
}
