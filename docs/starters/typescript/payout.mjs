#!/usr/bin/env node
// @ts-check
/**
 * Starts, reads and cancels a payout with Temporal's TypeScript SDK, and nothing of remit's own. Copy what you need;
 * what holds in every language stands in ../README.md.
 *
 *   node payout.mjs start FILE.json
 *   node payout.mjs show ID
 *   node payout.mjs cancel ID --by WHO --why TEXT
 *
 * ID is your own id of the payout. The answer is JSON; the exit code is 0 done, 1 no answer, 2 not accepted,
 * 3 refused, 4 no such payout, 5 the id belongs to another request. Where Temporal is comes from TEMPORAL_ADDRESS
 * and the other settings of all its SDKs.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { isDeepStrictEqual, parseArgs } from 'node:util';

import {
  ApplicationFailure,
  Client,
  Connection,
  WorkflowExecutionAlreadyStartedError,
  WorkflowFailedError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';

const EXIT = { done: 0, noAnswer: 1, notAccepted: 2, refused: 3, notFound: 4, conflict: 5 };

/** A worker at hand answers in milliseconds. Without a limit, Temporal waits long for one that is not there. */
const TOLD_WITHIN = 5_000;
/** An order has to be written down first. */
const ANSWERED_WITHIN = 20_000;

/** Why there is no good answer, and the exit code that says so. */
export class Sad extends Error {
  /** @param {number} exit @param {string} says */
  constructor(exit, says) {
    super(says);
    this.exit = exit;
  }
}

/**
 * The key of a payout: what names it for ever, at the provider and in Temporal. Made from your id alone.
 * @param {unknown} externalId
 */
export function payoutKey(externalId) {
  // Bytes count, not characters. Half of a surrogate pair has no bytes in UTF-8.
  const text = typeof externalId === 'string' && externalId.isWellFormed() ? externalId : '';
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length < 1 || bytes.length > 255 || bytes.includes(0)) {
    throw new Sad(EXIT.notAccepted, 'externalId: expected 1 to 255 bytes of text without NUL');
  }
  const plain = /^[A-Za-z0-9._-]{1,40}$/.test(text) && !text.startsWith('h-') && !/-retry-[0-9]+$/.test(text);
  return plain ? text : 'h-' + createHash('sha256').update(bytes).digest('hex').slice(0, 32);
}

/** @param {unknown} externalId */
const workflowIdOf = (externalId) => `payout-${payoutKey(externalId)}`;

/**
 * Starts a payout, or finds the one that the same request started before: when in doubt, call it again.
 * @param {Client} client
 * @param {Record<string, any>} request
 */
export async function start(client, request) {
  const workflowId = workflowIdOf(request?.externalId);
  let how = 'new';
  try {
    await client.workflow.start('payout', {
      taskQueue: 'remit',
      workflowId,
      args: [request],
      workflowIdReusePolicy: 'ALLOW_DUPLICATE_FAILED_ONLY',
      workflowIdConflictPolicy: 'FAIL',
    });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    how = 'existing';
    const differs = differences(await inputOf(client, workflowId), request);
    if (differs.length > 0) {
      const says = `the id of ${workflowId} was used before for another request`;
      throw new Sad(EXIT.conflict, `${says} (not the same: ${differs.join(', ')}); nothing was started`);
    }
  }
  return { workflowId, how, claimed: await isClaimed(client, workflowId) };
}

/**
 * Whether the payout has claimed its id, which is the first thing it does. A request that is not accepted, and a
 * conflict with a payout that Temporal has forgotten, are found out here. False when no worker tells in time: it is
 * started all the same, and `show` tells later.
 * @param {Client} client
 * @param {string} workflowId
 */
async function isClaimed(client, workflowId) {
  for (const end = Date.now() + 3_000; Date.now() < end; await sleep(100)) {
    try {
      const run = await describe(client, workflowId);
      if (run !== undefined && (await read(client, run)).stage !== 'Requested') return true;
    } catch (error) {
      if (error instanceof Sad) throw error;
    }
  }
  return false;
}

/**
 * What the workflow of this id was started with.
 * @param {Client} client
 * @param {string} workflowId
 */
async function inputOf(client, workflowId) {
  const { history } = await client.workflowService.getWorkflowExecutionHistory({
    namespace: client.options.namespace,
    execution: { workflowId },
    maximumPageSize: 1, // its first event
  });
  const input = history?.events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads?.[0];
  // With a payload codec, decode with it first.
  if (Buffer.from(input?.metadata?.encoding ?? []).toString() !== 'json/plain') {
    throw new Sad(EXIT.noAnswer, `${workflowId} exists, and its input cannot be read: look at it in Temporal`);
  }
  return JSON.parse(Buffer.from(input?.data ?? []).toString());
}

/**
 * The fields that are not the same in both requests.
 * @param {Record<string, any>} one
 * @param {Record<string, any>} other
 */
export function differences(one, other) {
  const [a, b] = [facts(one), facts(other)];
  return Object.keys({ ...a, ...b }).filter((name) => !isDeepStrictEqual(a[name], b[name])).sort();
}

/**
 * A request without what makes no difference: fields that are null, and the case of a contract address.
 * @param {Record<string, any>} request
 */
function facts(request) {
  return JSON.parse(
    JSON.stringify(request, (name, value) =>
      name === 'contract' && typeof value === 'string' ? value.toLowerCase() : (value ?? undefined)),
  );
}

/**
 * Where a payout is, or how it ended.
 * @param {Client} client
 * @param {string} id
 */
export async function show(client, id) {
  return await read(client, await newest(client, id));
}

/**
 * The run of a payout. An operator may have opened another attempt at a payout that is over: then that one counts.
 * @param {Client} client
 * @param {string} id
 */
async function newest(client, id) {
  const workflowId = workflowIdOf(id);
  let run = await describe(client, workflowId);
  if (run === undefined) {
    throw new Sad(EXIT.notFound, `no ${workflowId} in Temporal: never started, or over for longer than it is kept`);
  }
  for (let attempt = 1; attempt < 100 && run.status.name !== 'RUNNING'; attempt += 1) {
    const next = await describe(client, `${workflowId}-retry-${attempt}`);
    if (next === undefined) break;
    run = next;
  }
  return run;
}

/**
 * What Temporal says of the workflow of this id; undefined if there is none.
 * @param {Client} client
 * @param {string} workflowId
 */
async function describe(client, workflowId) {
  try {
    return await client.workflow.getHandle(workflowId).describe();
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
}

/**
 * While it runs, the answer of its query `status`; when it is over, its outcome. The first needs a worker.
 * @param {Client} client
 * @param {import('@temporalio/client').WorkflowExecutionDescription} run
 * @returns {Promise<Record<string, any>>}
 */
async function read(client, { workflowId, runId, status }) {
  const run = client.workflow.getHandle(workflowId, runId);
  if (status.name !== 'RUNNING') {
    return await run.result().catch((error) => {
      throw error instanceof WorkflowFailedError ? whyItFailed(workflowId, error.cause) : error;
    });
  }
  return await client.withDeadline(Date.now() + TOLD_WITHIN, () => run.query('status')).catch((error) => {
    throw new Error(`${workflowId} does not tell its status: is a worker running? (${error.message})`);
  });
}

/**
 * Every ending of a payout is a result. A run fails only when its input was refused or its id belongs to another
 * request; anything else was done to it from outside.
 * @param {string} workflowId
 * @param {Error | undefined} cause
 */
function whyItFailed(workflowId, cause) {
  const type = cause instanceof ApplicationFailure ? cause.type : undefined;
  if (type === 'remit.refused') return new Sad(EXIT.notAccepted, `${workflowId} refused its input: ${cause?.message}`);
  if (type === 'remit.conflict') return new Sad(EXIT.conflict, `${workflowId} stopped: ${cause?.message}`);
  const says = `${workflowId} was ended in Temporal (${cause?.message})`;
  return new Sad(EXIT.noAnswer, `${says}; start the same request again to take it up where it was left`);
}

/**
 * Calls a payout off. Refused once it may have been confirmed: then the answer says what happens instead.
 * @param {Client} client
 * @param {string} id
 * @param {{ by: string, why: string }} order
 * @returns {Promise<{ answer: 'accepted' | 'refused', stage: string, says: string }>}
 */
export async function cancel(client, id, order) {
  const { workflowId } = await newest(client, id);
  const payout = client.workflow.getHandle(workflowId);
  try {
    const deadline = Date.now() + ANSWERED_WITHIN;
    return await client.withDeadline(deadline, () => payout.executeUpdate('cancel', { args: [order] }));
  } catch (error) {
    if (error instanceof WorkflowUpdateFailedError) {
      throw new Sad(EXIT.notAccepted, `${workflowId} does not take the order: ${error.cause?.message}`);
    }
    if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) {
      const says = `${workflowId} has not answered; whether it will be called off is not known`;
      throw new Sad(EXIT.noAnswer, `${says}: give the same order again, it may be given twice`);
    }
    // Temporal takes no orders for a run that is over.
    if (!(error instanceof WorkflowNotFoundError)) throw error;
    const { ending, reason } = await show(client, id);
    if (ending === undefined) throw error;
    return { answer: 'refused', stage: ending, says: `it is over: ${reason}` };
  }
}

const USAGE = 'usage: payout.mjs start FILE.json | show ID | cancel ID --by WHO --why TEXT';

/**
 * What the command line asks for. Read before anything is connected.
 * @param {string[]} args
 * @returns {(client: Client) => Promise<Record<string, any>>}
 */
function asked(args) {
  try {
    const options = /** @type {const} */ ({ by: { type: 'string' }, why: { type: 'string' } });
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    const [command, what] = positionals;
    const { by, why } = values;
    if (positionals.length === 2 && command === 'cancel' && by !== undefined && why !== undefined) {
      return (client) => cancel(client, what, { by, why });
    }
    if (positionals.length === 2 && by === undefined && why === undefined) {
      if (command === 'show') return (client) => show(client, what);
      if (command === 'start') {
        const request = JSON.parse(readFileSync(what, 'utf8'));
        return (client) => start(client, request);
      }
    }
  } catch (error) {
    throw new Sad(EXIT.notAccepted, `${error instanceof Error ? error.message : error}\n${USAGE}`);
  }
  throw new Sad(EXIT.notAccepted, USAGE);
}

/** @param {string[]} args */
async function main(args) {
  const ask = asked(args);
  const { connectionOptions, namespace } = loadClientConnectConfig();
  const connection = await Connection.connect(connectionOptions);
  try {
    const answer = await ask(new Client({ connection, namespace }));
    console.log(JSON.stringify(answer, null, 2));
    if (answer.answer === 'refused') process.exitCode = EXIT.refused;
  } finally {
    await connection.close();
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  main(process.argv.slice(2)).catch((error) => {
    const says = error instanceof Sad ? error.message : (error?.cause?.message ?? error?.message ?? error);
    console.error(`payout: ${says}`);
    process.exitCode = error instanceof Sad ? error.exit : EXIT.noAnswer;
  });
}
