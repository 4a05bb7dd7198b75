/** An agent for one test file, the files of its worker, and user code that interferes with these files. */
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, expect } from 'vitest';
import type { FileEntry, WorkerFiles, WorkerPath } from '../../src/domain/workerFiles.ts';
import { createAgentCalls } from '../../src/kernel/agent/createAgentCalls.ts';
import { createWorkerFiles } from '../../src/kernel/files/createWorkerFiles.ts';
import { newId } from '../../src/process/newId.ts';
import { socketAddress } from '../../src/runtime/docker/workerSocket.ts';
import { type AgentServer, startAgent } from '../../testkit/agentServer.ts';
import { createKernelRunner, type KernelRunner, textOf } from '../../testkit/kernelRunner.ts';

/** Prints the names of parts, which are files that are still being written. Only user code sees them. */
const PARTS = `import os
print([name for _, _, names in os.walk(os.path.expanduser("~")) for name in names if name.startswith(".cellhouse-part-")])`;

export interface FilesOfAgent {
  readonly agent: AgentServer;
  readonly runner: KernelRunner;
  readonly files: WorkerFiles;
  readonly bootId: string;
  readonly sessionId: string;
  /** Runs Python as user code, and returns what it printed. The code must succeed and print nothing on stderr. */
  python(code: string): Promise<string>;
  write(path: WorkerPath, content: Uint8Array | string): Promise<void>;
  read(path: WorkerPath): Promise<string>;
  /** The names of all parts in the home. */
  parts(): Promise<string>;
  /** All pages of a listing. */
  listAll(path: string, limit?: number): Promise<FileEntry[]>;
  /** {@link outcomeOf} an operation on `files`. */
  outcome(operation: (files: WorkerFiles) => Promise<unknown>): Promise<string>;
  close(): Promise<void>;
}

export async function startFilesOfAgent(ociRuntime?: string): Promise<FilesOfAgent> {
  const agent = await startAgent(ociRuntime);
  const runner = createKernelRunner(agent.address);
  const { signal } = new AbortController();
  const call = createAgentCalls({ address: agent.address, epoch: 1, signal });
  const { bootId } = await call('health', {});
  const sessionId = newId();
  const address = socketAddress(agent.socketPath);
  const files = createWorkerFiles({ address, sessionId, bootId });
  const python = async (code: string) => {
    const ran = await runner.run(code);
    expect({ ...ran.outcome, stderr: textOf(ran, 'stderr') }).toMatchObject({
      status: 'OK',
      stderr: '',
    });
    return textOf(ran);
  };
  return {
    agent,
    runner,
    files,
    bootId,
    sessionId,
    python,
    parts: async () => (await python(PARTS)).trim(),
    write: async (path, content) =>
      void (await files.write(path, Readable.from([Buffer.from(content)]), { makeParents: true })),
    read: async (path) => (await buffer((await files.read(path)).body)).toString(),
    listAll: async (path, limit = 1_000) => {
      const entries: FileEntry[] = [];
      let after: string | null = null;
      do {
        const page = await files.list(path, { limit, after });
        entries.push(...page.entries);
        after = page.next;
      } while (after !== null);
      return entries;
    },
    outcome: (operation) => outcomeOf(operation(files)),
    close: async () => {
      await runner.close();
      await agent.close();
    },
  };
}

/** An agent of its own for all tests of a `describe`. @returns how to get it, once the tests run */
export function useFilesOfAgent(ociRuntime?: string): () => FilesOfAgent {
  let worker: FilesOfAgent | null = null;
  beforeAll(async () => {
    worker = await startFilesOfAgent(ociRuntime);
  });
  afterAll(() => worker?.close());
  return () => {
    if (!worker) throw new Error('The agent was not started.');
    return worker;
  };
}

/** The outcome of a file operation: the code of its refusal, or `ok`. Any other error is thrown. */
export async function outcomeOf(operation: Promise<unknown>): Promise<string> {
  try {
    await operation;
    return 'ok';
  } catch (error: unknown) {
    const { name, code } = error as { name?: string; code?: string };
    if (name === 'FileRefusedError' && code) return code;
    throw error;
  }
}
