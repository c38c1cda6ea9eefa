// How the tests ask for a payout and follow it.
import { until, USDC_ON_POLYGON } from './organisation.js'

/** 1,000 USDC; an amount that ends in 00 is paid out. */
export const AMOUNT = '1000000000'

/** The body of a payout from the Polygon wallet. */
export const aPayout = (organisation, changes = {}) => ({
  walletId: organisation.polygonWallet,
  asset: { kind: 'Erc20', amount: AMOUNT, contract: USDC_ON_POLYGON },
  fiatCurrency: 'USD',
  provider: 'Borderless',
  country: 'US',
  borderlessAccountId: 'acc-1',
  paymentInstructionsId: 'pi-1',
  paymentPurpose: 'salary payment',
  ...changes,
})

/** The body that confirms `payout` exactly as it was read. */
export const confirmationOf = (payout, changes = {}) => {
  const { kind, amount, contract, mint } = payout.asset
  const token = contract ? { contract } : { mint }
  return {
    action: 'Confirm',
    walletId: payout.walletId,
    transfer: { kind, amount, ...token, to: payout.data.depositAddress, ...changes },
  }
}

export const executionStatusIs =
  (...wanted) =>
  (payout) =>
    wanted.includes(payout.data.executionStatus)

/** Creates a payout and waits until it can be confirmed. */
export async function aPayoutThatAwaitsConfirmation(dfns, body) {
  const { id } = await dfns.payouts.createPayout({ body })
  return until(() => dfns.payouts.getPayout({ payoutId: id }), executionStatusIs('AwaitingPayoutConfirmation'))
}

export const confirm = (dfns, payout) =>
  dfns.payouts.createPayoutAction({ payoutId: payout.id, body: confirmationOf(payout) })

/** Follows a payout to its end. */
export const ended = (dfns, payout) =>
  until(
    () => dfns.payouts.getPayout({ payoutId: payout.id }),
    (read) => read.status !== 'Processing',
  )
