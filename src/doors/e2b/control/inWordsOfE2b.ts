import { DomainError } from '../../../domain/errors.ts';

/** What the API calls the fields that the service names in its messages. */
const NAMES: Readonly<Record<string, string>> = {
  environmentVariables: 'envVars',
  egressAllow: 'network.allowOut',
  environment: 'templateID',
  first: 'limit',
  after: 'nextToken',
};

/** The error, with a message that its caller can relate to the request. */
export function inWordsOfE2b(error: unknown): unknown {
  if (!(error instanceof DomainError)) return error;
  const { code, message, details } = error;
  const field = String(details.field);
  const name = Object.hasOwn(NAMES, field) ? NAMES[field] : undefined;
  if (code !== 'BAD_USER_INPUT' || name === undefined || !message.startsWith(field)) return error;
  const renamed = name + message.slice(field.length);
  return new DomainError(code, renamed, { ...details, field: name }, { cause: error });
}
