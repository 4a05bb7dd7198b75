/** Finds the row of the table of troubles that a message belongs to. */
import type { Trouble } from '../../src/doctor/troubles.ts';

/** Whether a message of the program is one of this row: it begins with one of the row's texts. */
export function isAbout({ messages }: Trouble, message: string): boolean {
  return messages.some((each) => patternOf(each).test(message));
}

function patternOf(message: string): RegExp {
  const parts = message.split('…').map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
  return new RegExp(`^${parts.join('[\\s\\S]*?')}`);
}
