import { readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * This package has 9 MB of text for one page. It is not bundled, so that it is loaded only when the page is requested.
 */
const PACKAGES = ['@graphql-yoga/render-graphiql'];

/** What dockerode loads for an engine behind SSH and for BuildKit's sessions. Cellhouse has neither. */
const LEFT_OUT = ['ssh2', '@grpc/grpc-js', '@grpc/proto-loader'];
const ABSENT = fileURLToPath(new URL('absent.cjs', import.meta.url));

/**
 * Puts all modules that `cli.js` needs, and those of its packages, into `cli.js`. Node takes longer to find and open a
 * thousand files than to run them. A command still runs only the modules that it imports.
 * @param {string} dist a folder with what TypeScript has made of `src/`
 */
export async function bundle(dist) {
  // Imported here, because this file is loaded before any package is installed.
  const { build, stop } = await import('esbuild');
  try {
    await build({
      absWorkingDir: dist,
      entryPoints: ['cli.js'],
      outfile: join(dist, 'cli.js'),
      allowOverwrite: true,
      bundle: true,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      external: PACKAGES,
      alias: Object.fromEntries(LEFT_OUT.map((name) => [name, ABSENT])),
      // CommonJS packages load Node's own modules with `require`.
      banner: {
        js: "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);",
      },
      plugins: [ownAddresses(dist)],
      logLevel: 'warning',
    });
  } finally {
    // Otherwise the process of esbuild would live as long as this one, which may be the gateway.
    await stop();
  }
}

/** Gives each module the `import.meta.url` that it had before, so that it still finds files by their relative paths. */
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
