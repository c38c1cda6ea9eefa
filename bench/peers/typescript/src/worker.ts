// A payout as somebody would write it in TypeScript who takes Temporal's samples for a pattern, to compare remit's
// worker with. This is its worker; workflows.ts is the workflow, dfns.ts the provider, bundle.ts prepares the workflow.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';

import { Dfns } from './dfns';
import type { Cadence } from './workflows';

async function main(): Promise<void> {
  const cadence: Cadence = { firstMs: number('PEER_POLL_FIRST_MS'), maxMs: number('PEER_POLL_MAX_MS') };
  const dfns = new Dfns(
    setting('DFNS_BASE_URL'),
    setting('DFNS_TOKEN'),
    setting('DFNS_CREDENTIAL_ID'),
    await readFile(setting('DFNS_PRIVATE_KEY_FILE'), 'utf8'),
  );
  // Ends the worker at SIGINT and SIGTERM by itself.
  Runtime.install({ logger: new DefaultLogger('WARN') });
  const connection = await NativeConnection.connect({ address: setting('TEMPORAL_ADDRESS') });
  try {
    const worker = await Worker.create({
      connection,
      namespace: setting('TEMPORAL_NAMESPACE'),
      taskQueue: setting('PEER_TASK_QUEUE'),
      activities: dfns.activities(),
      workflowBundle: { code: await bundle(cadence) },
      ...(process.env.PEER_CACHED_WORKFLOWS && { maxCachedWorkflows: number('PEER_CACHED_WORKFLOWS') }),
    });
    const running = worker.run();
    console.log('ready');
    await running;
  } finally {
    await connection.close();
  }
}

// The workflow cannot see this process's environment. What it has to know stands before its first line, as a constant of
// a deployed build would; on that same line, so that the source map still fits.
async function bundle(cadence: Cadence): Promise<string> {
  const code = await readFile(join(__dirname, 'workflow-bundle.js'), 'utf8');
  return `const CADENCE = Object.freeze(${JSON.stringify(cadence)}); ${code}`;
}

function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; ../README.md says what this worker needs`);
  return value;
}

function number(name: string): number {
  const value = Number(setting(name));
  if (!Number.isSafeInteger(value) || value <= 0) {
    throw new Error(`${name}: expected a whole number above zero, got ${process.env[name]}`);
  }
  return value;
}

main().catch((error) => {
  console.error(`worker: ${error?.message ?? error}`);
  process.exitCode = 1;
});
