#!/usr/bin/env node
/** The `cellhouse` command. */
import './process/productionMode.ts';
import { run } from './cli/run.ts';

await run(process.argv.slice(2));
