/** A command that can never follow the state a stream is in: a defect of the caller, or a race it must decide again. */
export class WrongStateError extends Error {
  constructor(what: string, state: string, command: string) {
    super(`${command} is not possible: the ${what} is ${state}.`);
    this.name = 'WrongStateError';
  }
}
