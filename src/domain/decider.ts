/** What the rules of every entity share. */

/** A fact: `at` is when it became true (ISO 8601, UTC), by the clock of the process that saw it. */
export type Event<Type extends string, Data> = {
  readonly type: Type;
  readonly data: Readonly<Data> & { readonly at: string };
};

/** A command that can never follow the state a stream is in: a defect of the caller, or a race it must decide again. */
export class WrongStateError extends Error {
  constructor(what: string, state: string, command: string) {
    super(`${command} is not possible: the ${what} is ${state}.`);
    this.name = 'WrongStateError';
  }
}

/** The error of a history whose first event is not the one that every such stream begins with. */
export function missingStart(type: string): Error {
  return new Error(`A stream cannot begin with ${type}: its first event is missing.`);
}
