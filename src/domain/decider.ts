/** Types and errors that the rules of all entities share. */

/** A fact. `at` is the time when it became true (ISO 8601, UTC), by the clock of the process that saw it. */
export type Event<Type extends string, Data> = {
  readonly type: Type;
  readonly data: Readonly<Data> & { readonly at: string };
};

/** The command does not fit the stream's state. The caller has a defect, or lost a race and must decide again. */
export class WrongStateError extends Error {
  constructor(what: string, state: string, command: string) {
    super(`${command} is not possible: the ${what} is ${state}.`);
    this.name = 'WrongStateError';
  }
}

/** The error for a stream whose history does not begin with the event that begins every stream of its kind. */
export function missingStart(type: string): Error {
  return new Error(`A stream cannot begin with ${type}: its first event is missing.`);
}
