import { readFile } from 'node:fs/promises';
import { relative } from 'node:path';

/** Have native code, or load it: they stay packages, which Node finds in node_modules. */
const PACKAGES = ['cpu-features', 'ssh2'];

/**
 * Puts all modules that `cli.js` needs, and those of its packages, into few files beside it: one for each command, and
 * one for what several share. Node takes longer to find and open a thousand small files than to run them.
 * @param {string} dist a folder with what TypeScript has made of `src/`
 */
export async function bundle(dist) {
  // Set-up is loaded before there are any packages.
  const { build } = await import('esbuild');
  await build({
    absWorkingDir: dist,
    entryPoints: ['cli.js'],
    outdir: dist,
    allowOverwrite: true,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    external: PACKAGES,
    // Packages that are CommonJS ask for Node's own modules with it.
    banner: {
      js: "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);",
    },
    plugins: [ownAddresses(dist)],
    logLevel: 'warning',
  });
}

/** Each module finds what is beside `dist/` from the place that it had, although all are beside `cli.js` now. */
function ownAddresses(dist) {
  return {
    name: 'own-addresses',
    setup({ onLoad }) {
      onLoad({ filter: /\.js$/ }, async ({ path }) => {
        const name = relative(dist, path);
        if (name.startsWith('..')) return undefined;
        const source = await readFile(path, 'utf8');
        const address = `new URL(${JSON.stringify(`./${name}`)}, import.meta.url).href`;
        return { contents: source.replaceAll('import.meta.url', address) };
      });
    },
  };
}
