/** How large what comes in, what goes out and what is kept may be. */
import { bytes, milliseconds } from './setting.ts';

export const SIZES = {
  maxCodeBytes: bytes({
    name: 'MAX_CODE_BYTES',
    text: "How large one execution's code may be, in UTF-8.",
    fallback: 1_048_576,
    min: 1,
    // The agent takes frames of at most 16 MiB, and JSON makes six characters of a U+0000.
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
    text: "How much of one execution's output is kept; a gap event says what was not.",
    fallback: 33_554_432,
    min: 1_024,
  }),
  maxResponseBytes: bytes({
    name: 'MAX_RESPONSE_BYTES',
    text: 'How large one GraphQL answer may be.',
    fallback: 134_217_728,
    min: 65_536,
    // A response is one string, which V8 ends at about 512 MiB.
    max: 402_653_184,
  }),
  slowReaderTimeoutMs: milliseconds({
    name: 'SLOW_READER_TIMEOUT_MS',
    text: 'A subscriber that takes nothing for so long is cut; it may come back.',
    fallback: 30_000,
    min: 100,
  }),
  replayBufferBytes: bytes({
    name: 'REPLAY_BUFFER_BYTES',
    text: 'How much output a worker keeps while no gateway takes it.',
    fallback: 33_554_432,
    min: 1_048_576,
  }),
};
