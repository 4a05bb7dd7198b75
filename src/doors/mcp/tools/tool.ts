/** A tool: the description for a model, and the function that carries it out. */
import {
  type CallToolResult,
  type McpServer,
  ProtocolError,
  ProtocolErrorCode,
  type StandardSchemaWithJSON,
  type ToolAnnotations,
} from '@modelcontextprotocol/server';
import { z } from 'zod';
import { DomainError } from '../../../domain/errors.ts';
import { secondsToRetry } from '../../../service/refusal.ts';
import type { DoorDeps } from '../../openDoor.ts';
import { MAX_WAIT_SECONDS } from '../run.ts';
import { type McpCall, type Notify, notifyOf } from '../session.ts';
import type { TimeLimit } from './allowed.ts';

// Converts schemas of tools to JSON Schema once. Otherwise the server of each request would convert them again.

/** The schema, with its JSON form computed in advance. */
function toolSchema<Of extends z.ZodType>(
  schema: Of,
): StandardSchemaWithJSON<z.input<Of>, z.output<Of>> {
  const input = z.toJSONSchema(schema, { target: 'draft-2020-12', io: 'input' });
  const output = z.toJSONSchema(schema, { target: 'draft-2020-12', io: 'output' });
  const { validate } = schema['~standard'];
  const jsonSchema = { input: () => input, output: () => output };
  return { '~standard': { version: 1, vendor: 'cellhouse', validate, jsonSchema } };
}

// What a tool answers when it fails.

/**
 * The answer of `work`. A failure becomes a result with `isError` and a text, not a JSON-RPC error, because hosts do
 * not show JSON-RPC errors to a model. An unexpected error is logged once, and the text contains only the id of the log
 * entry.
 */
async function withToolErrors(
  { logger, newErrorId }: Pick<DoorDeps, 'logger' | 'newErrorId'>,
  tool: string,
  work: () => Promise<CallToolResult>,
): Promise<CallToolResult> {
  try {
    return await work();
  } catch (error: unknown) {
    if (error instanceof DomainError) return failed(textOf(error));
    const errorId = newErrorId();
    logger.error({ err: error, errorId, tool }, 'A tool failed.');
    return failed(
      `INTERNAL: Internal error ${errorId}. Whether the call had an effect is not known.`,
    );
  }
}

/**
 * The same for a resource, whose failures are JSON-RPC errors. An unexpected error is masked, because the server would
 * send its message to the client.
 * @throws ProtocolError
 */
export async function withMaskedErrors<T>(
  { logger, newErrorId }: Pick<DoorDeps, 'logger' | 'newErrorId'>,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error: unknown) {
    if (error instanceof ProtocolError) throw error;
    if (error instanceof DomainError)
      throw new ProtocolError(ProtocolErrorCode.InternalError, textOf(error));
    const errorId = newErrorId();
    logger.error({ err: error, errorId }, 'Reading a resource failed.');
    throw new ProtocolError(ProtocolErrorCode.InternalError, `Internal error ${errorId}`);
  }
}

/** The result of a call that failed. @param text for the model */
export function failed(text: string): CallToolResult {
  return { content: [{ type: 'text', text }], isError: true };
}

function textOf(error: DomainError): string {
  const seconds = secondsToRetry(error);
  const retry = seconds === null ? '' : ` Try again in ${seconds} s.`;
  return `${error.code}: ${error.message}${retry}`;
}

export interface Tool {
  /** Registers the tool with the server that answers this call. */
  register(server: McpServer, call: McpCall): void;
}

interface ToolOf<Input extends z.ZodType, Output extends z.ZodType> {
  readonly name: string;
  readonly title: string;
  /** For a model: short and true. */
  readonly description: string;
  readonly input: Input;
  readonly output: Output;
  readonly annotations: ToolAnnotations;
  run(call: McpCall, input: z.output<Input>, notify: Notify): Promise<CallToolResult>;
}

/** Some hosts cut a text result at a size of their own, unless the tool says that it may be larger. */
const META = { 'anthropic/maxResultSizeChars': 100_000 };

export function tool<Input extends z.ZodType, Output extends z.ZodType>({
  name,
  title,
  description,
  input,
  output,
  annotations,
  run,
}: ToolOf<Input, Output>): Tool {
  const inputSchema = toolSchema(input);
  const outputSchema = toolSchema(output);
  const config = { title, description, inputSchema, outputSchema, annotations, _meta: META };
  return {
    register(server, call) {
      server.registerTool(name, config, (given, context) =>
        withToolErrors(call.deps, name, () => run(call, given, notifyOf(context))),
      );
    },
  };
}

/** An answer that consists of data. It also has the data as JSON text, for hosts that know only text. */
export function answered(data: Readonly<Record<string, unknown>>): CallToolResult {
  return { content: [{ type: 'text', text: JSON.stringify(data) }], structuredContent: data };
}

const MAX_ID_CHARS = 256;

export const SESSION_ID = z
  .string()
  .min(1)
  .max(MAX_ID_CHARS)
  .describe('Whose variables and files: what an earlier result gave, or a name of your own.');

export const EXECUTION_ID = z.string().min(1).max(MAX_ID_CHARS).describe('From a result.');

export const WAIT_SECONDS = z
  .number()
  .min(0)
  .max(MAX_WAIT_SECONDS)
  .describe('How long to wait for the end. Default 45. After that the result is "running".');

/** The schema of the argument for a time limit. */
export function timeoutSeconds({ byDefault, max }: TimeLimit) {
  return z
    .number()
    .min(Math.min(MIN_TIMEOUT_SECONDS, max))
    .max(max)
    .optional()
    .describe(`It is stopped after this time. Default ${byDefault}.`);
}

const MIN_TIMEOUT_SECONDS = 1;
