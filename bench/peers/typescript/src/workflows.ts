import { ApplicationFailure, condition, defineSignal, proxyActivities, setHandler } from '@temporalio/workflow';

import type { Activities } from './dfns';

/** A request as our starters send it, as far as this needs it. */
export interface Request {
  externalId: string;
  walletId: string;
  asset: Asset;
  amount: string;
  destination: {
    provider: string;
    accountId: string;
    instructionsId: string;
    currency: string;
    country: string;
    purpose: string;
  };
}

export interface Asset {
  kind: string;
  contract: string;
}

/** What a reading found. */
export interface Seen {
  status: string;
  executionStatus: string;
  walletId: string;
  contract?: string;
  amount: string;
  depositAddress?: string;
}

/** What is confirmed. */
export interface Confirmation {
  payoutId: string;
  walletId: string;
  asset: Asset;
  amount: string;
  to: string;
}

/** How often is asked when nobody tells. */
export interface Cadence {
  firstMs: number;
  maxMs: number;
}

/** Put before the bundle by worker.ts. */
declare const CADENCE: Cadence;

const actionRequired = defineSignal<[{ payoutId: string }]>('action_required');

const { quote, create, read, confirm } = proxyActivities<Activities>({ startToCloseTimeout: '15s' });

// Retried by the server until it is so: the sample "infrequent polling".
const { await_completion } = proxyActivities<Activities>({
  startToCloseTimeout: '15s',
  retry: { initialInterval: CADENCE.firstMs, backoffCoefficient: 1.5, maximumInterval: CADENCE.maxMs },
});

/** Quote, create, wait, read, compare, confirm, wait. */
export async function bare_payout(request: Request): Promise<{ payoutId: string; status: string }> {
  let told = false;
  setHandler(actionRequired, () => {
    told = true;
  });

  await quote(request);
  const payoutId = await create(request);

  let seen: Seen;
  for (let pause = CADENCE.firstMs; ; pause = Math.min(2 * pause, CADENCE.maxMs)) {
    await condition(() => told, pause);
    told = false;
    seen = await read(payoutId);
    if (seen.executionStatus === 'AwaitingPayoutConfirmation') break;
    if (seen.status !== 'Processing') {
      throw ApplicationFailure.create({ message: `payout ${payoutId} is ${seen.status}` });
    }
  }
  const { walletId, asset, amount } = request;
  const same =
    seen.walletId === walletId &&
    seen.amount === amount &&
    seen.contract?.toLowerCase() === asset.contract.toLowerCase();
  if (!same || !seen.depositAddress) {
    throw ApplicationFailure.create({ message: `payout ${payoutId} is not what was asked for` });
  }
  await confirm({ payoutId, walletId, asset, amount, to: seen.depositAddress });

  return { payoutId, status: await await_completion(payoutId) };
}
