// What every test starts from: an organisation of its own at the sandbox, a signing client for each of its users,
// and a bounded wait.
import { DfnsApiClient } from '@dfns/sdk'
import { AsymmetricKeySigner } from '@dfns/sdk-keysigner'

export const sandboxUrl = process.env.SANDBOX_URL
if (!sandboxUrl) throw new Error('SANDBOX_URL is not set; expected the address of a running sandbox, as ../run sets it')

export const USDC_ON_POLYGON = '0x3c499c542cef5e3811e1192ce70d8cc03d5c3359'
export const USDC_ON_SOLANA = 'EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v'
export const SOME_ADDRESS = '0x1111111111111111111111111111111111111111'

/** Makes an organisation: a service account `payer` that may pay, people `alice` and `bob`, and a `reader` that may only read. */
export async function anOrganisation(options = {}) {
  const response = await fetch(new URL('/_sandbox/organisations', sandboxUrl), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(options),
  })
  if (!response.ok) throw new Error(`creating an organisation: ${response.status} ${await response.text()}`)
  return new Organisation(await response.json())
}

class Organisation {
  constructor({ id, wallets, users }) {
    this.id = id
    this.polygonWallet = named(wallets, 'network', 'Polygon').id
    this.solanaWallet = named(wallets, 'network', 'Solana').id
    this.users = users
  }

  user(name) {
    return named(this.users, 'name', name)
  }

  /** The official client, signing as `name`. What `overrides` names replaces the user's own key, token and so on. */
  as(name, overrides = {}) {
    return new DfnsApiClient(this.optionsOf(name, overrides))
  }

  optionsOf(name, overrides = {}) {
    const user = { ...this.user(name), ...overrides }
    return {
      baseUrl: sandboxUrl,
      authToken: user.token,
      signer: new AsymmetricKeySigner({ credId: user.credentialId, privateKey: user.privateKeyPem }),
    }
  }
}

function named(list, field, value) {
  const found = list.find((item) => item[field] === value)
  if (!found) throw new Error(`no ${field} ${value} among ${list.map((item) => item[field])}`)
  return found
}

/** Reads until `condition` holds, and gives what was read last. Fails after 30 s with that reading. */
export async function until(read, condition) {
  const deadline = Date.now() + 30_000
  for (;;) {
    const value = await read()
    if (condition(value)) return value
    if (Date.now() > deadline) throw new Error(`still not so after 30 s: ${condition}\nlast read: ${JSON.stringify(value)}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** What `node:assert`'s `rejects` compares a provider's refusal with: the status, and the words where Dfns documents them. */
export const refusedWith = (httpStatus, message) => ({ name: 'DfnsError', httpStatus, ...(message && { message }) })
