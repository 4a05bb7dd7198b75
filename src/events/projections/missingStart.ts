/** The error of a history whose first event is not the one that every such stream begins with. */
export function missingStart(type: string): Error {
  return new Error(`A stream cannot begin with ${type}: its first event is missing.`);
}
