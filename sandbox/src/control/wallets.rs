//! Adding wallets, changing them, and setting what they hold.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::{Answer, Outcome, Refusal};
use crate::networks::{Asset, AssetKind, Network};
use crate::organisation::State;
use crate::wallets;
use crate::wire;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewWallet {
    network: String,
    name: Option<String>,
    /// The network's USDC, empty, when absent.
    assets: Option<Vec<NewAsset>>,
    #[serde(default)]
    tags: Vec<String>,
}

/// An asset with its opening balance. Decimals are the network's for a native asset, else 6.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewAsset {
    kind: AssetKind,
    contract: Option<String>,
    mint: Option<String>,
    name: Option<String>,
    symbol: Option<String>,
    decimals: Option<u32>,
    verified: Option<bool>,
    balance: Option<String>,
}

impl NewAsset {
    fn asset(&self, network: &Network) -> Result<Asset, Refusal> {
        let native = network.native_asset();
        let decimals = match self.kind {
            AssetKind::Native => native.decimals,
            AssetKind::Erc20 | AssetKind::Spl | AssetKind::Spl2022 => self.decimals.unwrap_or(6),
        };
        if decimals > 28 {
            return Err(Refusal::field("decimals", decimals, "28 or less"));
        }
        let asset = Asset {
            kind: self.kind,
            contract: self.contract.clone(),
            mint: self.mint.clone(),
            name: self.name.clone(),
            symbol: match self.kind {
                AssetKind::Native => native.symbol,
                AssetKind::Erc20 | AssetKind::Spl | AssetKind::Spl2022 => self.symbol.clone(),
            },
            decimals,
            verified: self.verified.unwrap_or(true),
        };
        asset.check(network)?;
        Ok(asset)
    }
}

pub(super) fn create(state: &mut State, body: &[u8]) -> Outcome {
    let asked: NewWallet = wire::read(body)?;
    let network = Network::named(&asked.network)?;
    let mut assets = Vec::new();
    let mut balances = Vec::new();
    match &asked.assets {
        None => assets.push(Asset::usdc(&network)),
        Some(wanted) => {
            for wanted in wanted {
                let asset = wanted.asset(&network)?;
                if let Some(text) = &wanted.balance {
                    balances.push((asset.clone(), balance(text)?));
                }
                assets.push(asset);
            }
        }
    }
    let id = wallets::make(state, network, asked.name, assets);
    let address = wallets::find(state, &id)?.address.clone();
    for (asset, amount) in balances {
        state.chain.set(&network, &asset, &address, amount);
    }
    if let Some(wallet) = state.wallets.get_mut(&id) {
        wallet.tags = asked.tags;
    }
    Answer::ok(&wallet_view(state, &id)?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WalletChanges {
    status: Option<wallets::WalletStatus>,
    tags: Option<Vec<String>>,
}

pub(super) fn change(state: &mut State, id: &str, body: &[u8]) -> Outcome {
    let asked: WalletChanges = wire::read(body)?;
    let wallet = state.wallets.get_mut(id).ok_or_else(|| Refusal::missing("wallet", id))?;
    wallet.status = asked.status.unwrap_or(wallet.status);
    if let Some(tags) = asked.tags {
        wallet.tags = tags;
    }
    Answer::ok(&wallet_view(state, id)?)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewBalance {
    wallet_id: String,
    kind: AssetKind,
    contract: Option<String>,
    mint: Option<String>,
    balance: String,
}

pub(super) fn set_balance(state: &mut State, body: &[u8]) -> Outcome {
    let asked: NewBalance = wire::read(body)?;
    let amount = balance(&asked.balance)?;
    let wallet = wallets::find(state, &asked.wallet_id)?;
    let asset = wallet.asset(asked.kind, asked.contract.as_deref(), asked.mint.as_deref())?.clone();
    let (network, address) = (wallet.network, wallet.address.clone());
    state.chain.set(&network, &asset, &address, amount);
    Answer::ok(&wallet_view(state, &asked.wallet_id)?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenChanges {
    network: String,
    contract: String,
    paused: Option<bool>,
    /// All of them: takes the place of the list before.
    blacklisted: Option<Vec<String>>,
}

/// What the issuer of an ERC-20 token can do: stop all of it, or single addresses.
pub(super) fn switch_token(state: &mut State, body: &[u8]) -> Outcome {
    let asked: TokenChanges = wire::read(body)?;
    let network = Network::named(&asked.network)?;
    let asset = wallets::token(state, &network, &asked.contract)?.clone();
    let switches = state.chain.switches_mut(&network, &asset);
    if let Some(addresses) = &asked.blacklisted {
        addresses.iter().try_for_each(|address| network.check_address("blacklisted", address))?;
        switches.blacklisted = addresses.iter().map(|address| network.canonical(address)).collect();
    }
    switches.paused = asked.paused.unwrap_or(switches.paused);
    Answer::ok(&json!({
        "network": network.name,
        "contract": asset.contract,
        "paused": switches.paused,
        "blacklisted": switches.blacklisted,
    }))
}

fn balance(text: &str) -> Result<u128, Refusal> {
    if text == "0" { Ok(0) } else { wire::amount("balance", text) }
}

pub(super) fn wallet_view(state: &State, id: &str) -> Result<Value, Refusal> {
    let wallet = wallets::find(state, id)?;
    let assets: Vec<Value> = wallet
        .assets
        .iter()
        .map(|asset| {
            let mut view = json!(asset);
            view["balance"] = Value::from(state.chain.balance(&wallet.network, asset, &wallet.address).to_string());
            view
        })
        .collect();
    Ok(json!({
        "id": wallet.id,
        "name": wallet.name,
        "network": wallet.network.name,
        "address": wallet.address,
        "status": wallet.status,
        "tags": wallet.tags,
        "assets": assets,
    }))
}
