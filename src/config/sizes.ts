/** Size limits of requests, answers and kept output. */
import { bytes, milliseconds } from './setting.ts';

export const SIZES = {
  maxCodeBytes: bytes({
    name: 'MAX_CODE_BYTES',
    text: "How large one execution's code may be, in UTF-8.",
    fallback: 1_048_576,
    min: 1,
    // The agent accepts frames of at most 16 MiB, and a U+0000 becomes six characters in JSON.
    max: 2_097_152,
  }),
  maxBodyBytes: bytes({
    name: 'MAX_BODY_BYTES',
    text: 'How large one HTTP request or WebSocket message may be.',
    fallback: 8_388_608,
    min: 1_024,
  }),
  maxOutputBytes: bytes({
    name: 'MAX_OUTPUT_BYTES',
    text: "How much of one execution's output is kept. A gap event stands for the rest.",
    fallback: 33_554_432,
    min: 1_024,
  }),
  maxResponseBytes: bytes({
    name: 'MAX_RESPONSE_BYTES',
    text: 'How large one GraphQL answer may be.',
    fallback: 134_217_728,
    min: 65_536,
    // A response is one string, and V8's strings have at most about 512 MiB.
    max: 402_653_184,
  }),
  slowReaderTimeoutMs: milliseconds({
    name: 'SLOW_READER_TIMEOUT_MS',
    text: 'A client that reads nothing of its stream, answer or download for this time is disconnected. It may connect again.',
    fallback: 30_000,
    min: 100,
  }),
  replayBufferBytes: bytes({
    name: 'REPLAY_BUFFER_BYTES',
    text: 'How much output a worker keeps while no gateway reads it.',
    fallback: 33_554_432,
    min: 1_048_576,
  }),
};
