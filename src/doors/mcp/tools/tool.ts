/** A tool: the description for a model, and the function that carries it out. */
import type { CallToolResult, McpServer, ToolAnnotations } from '@modelcontextprotocol/server';
import { z } from 'zod';
import type { DoorSettings } from '../../openDoor.ts';
import { type McpCall, type Notify, notifyOf } from '../mcpCall.ts';
import { MAX_WAIT_SECONDS } from '../run.ts';
import { orError } from '../toolErrors.ts';
import { toolSchema } from '../toolSchema.ts';

export interface Tool {
  /** Registers the tool with the server that answers this call. */
  register(server: McpServer, call: McpCall): void;
}

export interface ToolOf<Input extends z.ZodType, Output extends z.ZodType> {
  readonly name: string;
  readonly title: string;
  /** For a model: short and true. NETWORK stands for {@link networkFor}. */
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
  const fixed = { title, inputSchema, outputSchema, _meta: META };
  return {
    register(server, call) {
      const { settings } = call.deps;
      const config = {
        ...fixed,
        description: description.replace('NETWORK', networkFor(settings)),
        annotations:
          annotations === RUNS_CODE
            ? { ...annotations, openWorldHint: settings.egressAllow.length > 0 }
            : annotations,
      };
      server.registerTool(name, config, (given, context) =>
        orError(call.deps, name, () => run(call, given, notifyOf(context))),
      );
    },
  };
}

/**
 * What code can reach. It is the same for all callers, because hosts may cache it, and is true for a tenant or a session
 * that may reach less, too.
 */
export function networkFor({ egressAllow }: Pick<DoorSettings, 'egressAllow'>): string {
  return egressAllow.length === 0
    ? 'There is no network: no downloads, no pip install.'
    : 'Only hosts that the operator has listed can be reached, by HTTP and HTTPS through a proxy that pip, requests and curl find by themselves. pip install works if the package index is among them.';
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

/** The annotations of tools that run the code or command that they are given. With a network, the world is open. */
export const RUNS_CODE: ToolAnnotations = {
  readOnlyHint: false,
  destructiveHint: false,
  idempotentHint: false,
  openWorldHint: false,
};

/** For how long code may run. */
export function timeoutSeconds(max: number, byDefault: number) {
  return z
    .number()
    .min(1)
    .max(max)
    .optional()
    .describe(`It is stopped after this time. Default ${byDefault}.`);
}
