import { z } from 'zod';
import type { KernelFacts } from '../../../domain/kernelQuestion.ts';
import { type NoInput, operation, QUICK_TIMEOUT_MS } from '../operation.ts';

/** The longest text about a kernel. The agent has the same limit. */
const MAX_FACT_CHARS = 1_000;
const fact = z.string().max(MAX_FACT_CHARS);

const kernelFacts = z
  .object({
    protocol_version: fact,
    implementation: fact,
    implementation_version: fact,
    banner: fact,
    language: z.object({
      name: fact,
      version: fact,
      mimetype: fact,
      file_extension: fact,
      pygments_lexer: fact,
      nbconvert_exporter: fact,
    }),
  })
  .transform(
    ({
      protocol_version,
      implementation,
      implementation_version,
      banner,
      language,
    }): KernelFacts => ({
      protocolVersion: protocol_version,
      implementation,
      implementationVersion: implementation_version,
      banner,
      language: {
        name: language.name,
        version: language.version,
        mimetype: language.mimetype,
        fileExtension: language.file_extension,
        pygmentsLexer: language.pygments_lexer,
        nbconvertExporter: language.nbconvert_exporter,
      },
    }),
  );

/** Whether the agent is alive, and the state of its kernel. */
export const health = operation({
  method: 'GET',
  timeoutMs: QUICK_TIMEOUT_MS,
  request: (_: NoInput) => ({}),
  answer: z
    .object({
      status: z.literal('ok'),
      boot_id: z.string(),
      kernel: z.enum(['idle', 'busy', 'restarting']),
      /** The agent's features that older agents lack. */
      features: z.array(z.string()),
      kernel_info: kernelFacts.nullable().catch(null),
    })
    .transform(({ boot_id: bootId, kernel, features, kernel_info: kernelInfo }) => ({
      bootId,
      kernel,
      features,
      kernelInfo,
    })),
});
