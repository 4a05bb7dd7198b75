/**
 * Preloaded before `@modelcontextprotocol/conformance`, which is written for Node 22: adds to its import of `fs` the
 * one function that Node 20 does not have, `globSync`. Only the package's scenarios for clients call it.
 */
import { register } from 'node:module';

const FS = `data:text/javascript,${encodeURIComponent(`
export * from 'node:fs';
export function globSync() { throw new Error('globSync needs Node 22'); }
`)}`;
const HOOKS = `
export function resolve(specifier, context, next) {
  if (specifier !== 'fs' || !context.parentURL?.includes('/conformance/')) return next(specifier, context);
  return { url: ${JSON.stringify(FS)}, shortCircuit: true };
}`;
register(`data:text/javascript,${encodeURIComponent(HOOKS)}`);
