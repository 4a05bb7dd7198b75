/**
 * Removes the refused value from the message of one of GraphQL's own errors. GraphQL repeats a value that does not fit
 * its type. The value may be a secret in an environment variable, and clients write messages into their logs.
 * Checked against graphql 16.15.0.
 */
export function withoutValues(message: string): string {
  return (
    message
      // `String cannot represent a non string value: 7`
      .replace(/^(\w+ cannot represent [^:]*): [\s\S]*$/, '$1.')
      // `Expected value of type "String!", found {a: "b"}.`
      .replace(/^(Expected value of type "[^"]+"), found [\s\S]*\.$/, '$1.')
  );
}
