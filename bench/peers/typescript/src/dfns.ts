import { createPrivateKey, sign, type KeyObject } from 'node:crypto';

import { ApplicationFailure, cancellationSignal } from '@temporalio/activity';
import { ApplicationFailureCategory } from '@temporalio/common';
import { Agent, request } from 'undici';

import type { Asset, Confirmation, Request, Seen } from './workflows';

export type Activities = ReturnType<Dfns['activities']>;

interface Payout {
  id: string;
  walletId: string;
  status: string;
  asset: { amount: string; contract?: string };
  data: { executionStatus: string; depositAddress?: string; dateConfirmed?: string };
}

/** The provider said no. */
class Refusal extends Error {
  constructor(
    readonly status: number,
    says: string,
  ) {
    super(says);
  }
}

/** The provider's API, as far as a payout needs it, and the activities that call it. */
export class Dfns {
  private readonly key: KeyObject;
  // undici itself, without the layer that makes a `fetch` of it; its connections are kept.
  private readonly connections = new Agent({ headersTimeout: 10_000, bodyTimeout: 10_000 });

  constructor(
    private readonly base: string,
    private readonly token: string,
    private readonly credentialId: string,
    privateKeyPem: string,
  ) {
    this.key = createPrivateKey(privateKeyPem);
    if (this.key.asymmetricKeyType !== 'ed25519') throw new Error('DFNS_PRIVATE_KEY_FILE: expected an Ed25519 key');
  }

  activities() {
    return {
      quote: async ({ walletId, asset, amount, destination }: Request): Promise<void> => {
        const { currency: fiatCurrency, provider, country } = destination;
        const body = { walletId, asset: { ...erc20(asset), amount }, fiatCurrency, provider, country };
        await this.call('POST', '/payouts/quote', JSON.stringify(body));
      },

      // Repeated safely: the provider knows a payout by our id of it.
      create: async ({ externalId, walletId, asset, amount, destination }: Request): Promise<string> => {
        const payout = await this.signed<Payout>('/payouts', {
          walletId,
          asset: { ...erc20(asset), amount },
          fiatCurrency: destination.currency,
          provider: destination.provider,
          country: destination.country,
          borderlessAccountId: destination.accountId,
          paymentInstructionsId: destination.instructionsId,
          paymentPurpose: destination.purpose,
          externalId,
        });
        return payout.id;
      },

      read: async (id: string): Promise<Seen> => {
        const { status, walletId, asset, data } = await this.payout(id);
        const { executionStatus, depositAddress } = data;
        return { status, executionStatus, walletId, contract: asset.contract, amount: asset.amount, depositAddress };
      },

      confirm: async ({ payoutId, walletId, asset, amount, to }: Confirmation): Promise<void> => {
        const transfer = { ...erc20(asset), amount, to };
        try {
          await this.signed(`/payouts/${payoutId}/action`, { action: 'Confirm', walletId, transfer });
        } catch (error) {
          // After an answer that was lost, the second try is refused: it has been confirmed, by us.
          if (!(error instanceof Refusal) || error.status !== 412) throw error;
          if (!(await this.payout(payoutId)).data.dateConfirmed) throw error;
        }
      },

      await_completion: async (id: string): Promise<string> => {
        const { status } = await this.payout(id);
        if (status === 'Completed') return status;
        if (status !== 'Processing') throw ApplicationFailure.nonRetryable(`payout ${id} is ${status}`);
        // Expected, so it is no warning.
        const category = ApplicationFailureCategory.BENIGN;
        throw ApplicationFailure.create({ message: `payout ${id} is not completed yet`, category });
      },
    };
  }

  private payout(id: string): Promise<Payout> {
    return this.call<Payout>('GET', `/payouts/${id}`);
  }

  /** A write that Dfns wants signed: a challenge, our answer to it, and the write itself with what that gave. */
  private async signed<Answer>(path: string, write: object): Promise<Answer> {
    const body = JSON.stringify(write);
    const { challenge, challengeIdentifier } = await this.call<{ challenge: string; challengeIdentifier: string }>(
      'POST',
      '/auth/action/init',
      JSON.stringify({
        userActionPayload: body,
        userActionHttpMethod: 'POST',
        userActionHttpPath: path,
        userActionServerKind: 'Api',
      }),
    );
    // In alphabetical order, which Dfns asks for.
    const clientData = Buffer.from(JSON.stringify({ challenge, type: 'key.get' }));
    const credentialAssertion = {
      credId: this.credentialId,
      clientData: clientData.toString('base64url'),
      signature: sign(null, clientData, this.key).toString('base64url'),
    };
    const { userAction } = await this.call<{ userAction: string }>(
      'POST',
      '/auth/action',
      JSON.stringify({ challengeIdentifier, firstFactor: { kind: 'Key', credentialAssertion } }),
    );
    return this.call<Answer>('POST', path, body, { 'x-dfns-useraction': userAction });
  }

  private async call<Answer>(
    method: 'GET' | 'POST',
    path: string,
    body?: string,
    more: Record<string, string> = {},
  ): Promise<Answer> {
    const response = await request(this.base + path, {
      method,
      body,
      headers: {
        authorization: `Bearer ${this.token}`,
        'user-agent': 'bare-worker-typescript',
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...more,
      },
      dispatcher: this.connections,
      signal: cancellationSignal(),
    });
    if (response.statusCode >= 300) {
      const says = await response.body.text();
      throw new Refusal(response.statusCode, `${method} ${path}: ${response.statusCode}: ${says}`);
    }
    return (await response.body.json()) as Answer;
  }
}

function erc20({ kind, contract }: Asset): Asset {
  return { kind, contract };
}
