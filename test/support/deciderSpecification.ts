/** Specifies a decider by examples: given these events, when this command comes, then these events follow. */
import { expect } from 'vitest';
import { WrongStateError } from '../../src/domain/decider.ts';

/** The rules of one entity. */
export interface Decider<State, Command, Event> {
  decide(command: Command, state: State | null): Event[];
  evolve(state: State | null, event: Event): State;
}

export interface Specification<State, Command, Event> {
  /** Starts from these events, in this order. */
  given(...events: readonly Event[]): Given<State, Command, Event>;
  /** Decides the commands in turn and skips refused ones. Gives each recorded event with the state after it. */
  play(commands: readonly Command[]): readonly (readonly [Event, State])[];
}

export interface Given<State, Command, Event> {
  /** The state after the events. */
  readonly state: State | null;
  when(command: Command): Outcome<Event>;
}

export interface Outcome<Event> {
  /** The command records exactly these events: none if the state that it asks for holds already. */
  then(...events: readonly Event[]): void;
  /** The command is refused with a message that matches. */
  thenThrows(words?: RegExp): void;
}

export function deciderSpecification<State, Command, Event>({
  decide,
  evolve,
}: Decider<State, Command, Event>): Specification<State, Command, Event> {
  const stateAfter = (events: readonly Event[]) => events.reduce<State | null>(evolve, null);
  return {
    given: (...history) => {
      const state = stateAfter(history);
      return {
        state,
        when: (command) => ({
          // biome-ignore lint/suspicious/noThenProperty: the third word of given, when, then; nobody awaits it
          then: (...events) => expect(decide(command, state)).toEqual(events),
          thenThrows: (words = /./) => {
            expect(() => decide(command, state)).toThrow(WrongStateError);
            expect(() => decide(command, state)).toThrow(words);
          },
        }),
      };
    },
    play: (commands) => {
      let state: State | null = null;
      return commands.flatMap((command) =>
        unlessRefused(() => decide(command, state)).map((event) => {
          state = evolve(state, event);
          return [event, state] as const;
        }),
      );
    },
  };
}

function unlessRefused<Event>(decide: () => Event[]): Event[] {
  try {
    return decide();
  } catch (error: unknown) {
    if (error instanceof WrongStateError) return [];
    throw error;
  }
}
