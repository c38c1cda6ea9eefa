//! Wallets, their assets and history, and what a network can be asked.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::answer::{Answer, Outcome, Refusal};
use crate::bank;
use crate::chain::block_at;
use crate::clock;
use crate::networks::{Asset, AssetKind, Family, Network};
use crate::organisation::State;
use crate::server::Visit;
use crate::table::{Page, Row};
use crate::webhooks::Listed;
use crate::wire;

/// A wallet. It holds whatever its address holds of the assets it knows.
#[derive(Debug)]
pub(crate) struct Wallet {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) network: Network,
    pub(crate) address: String,
    pub(crate) assets: Vec<Asset>,
    pub(crate) tags: Vec<String>,
    pub(crate) status: WalletStatus,
    key_id: String,
    public_key: String,
    date_created: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum WalletStatus {
    Active,
    Inactive,
    Archived,
}

impl Row for Wallet {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Wallet {
    /// The asset of this kind and id.
    ///
    /// # Errors
    /// 400 when the kind does not fit the network, or the wallet does not know the asset.
    pub(crate) fn asset(&self, kind: AssetKind, contract: Option<&str>, mint: Option<&str>) -> Result<&Asset, Refusal> {
        let wanted = Asset {
            kind,
            contract: contract.map(str::to_owned),
            mint: mint.map(str::to_owned),
            ..self.network.native_asset()
        };
        wanted.check(&self.network)?;
        self.assets
            .iter()
            .find(|asset| asset.key() == wanted.key())
            .ok_or_else(|| Refusal::field("asset", wanted.key(), &format!("an asset that wallet {} knows", self.id)))
    }

    fn view(&self) -> Value {
        let (scheme, curve) = match self.network.family {
            Family::Evm => ("ECDSA", "secp256k1"),
            Family::Solana => ("EdDSA", "ed25519"),
        };
        let mut view = json!({
            "id": self.id,
            "network": self.network.name,
            "address": self.address,
            "signingKey": {"id": self.key_id, "scheme": scheme, "curve": curve, "publicKey": self.public_key},
            "status": self.status,
            "dateCreated": self.date_created,
            "custodial": true,
            "tags": self.tags,
        });
        if let Some(name) = &self.name {
            view["name"] = Value::from(name.as_str());
        }
        view
    }
}

/// Makes a wallet with a fresh address. The native asset is always among its assets.
pub(crate) fn make(state: &mut State, network: Network, name: Option<String>, mut assets: Vec<Asset>) -> String {
    if !assets.iter().any(|asset| asset.kind == AssetKind::Native) {
        assets.insert(0, network.native_asset());
    }
    let id = state.ids.id("wa");
    let wallet = Wallet {
        id: id.clone(),
        name,
        network,
        address: network.address(&mut state.ids),
        assets,
        tags: Vec::new(),
        status: WalletStatus::Active,
        key_id: state.ids.id("key"),
        public_key: match network.family {
            Family::Evm => format!("02{}", state.ids.hex::<32>()),
            Family::Solana => state.ids.hex::<32>(),
        },
        date_created: state.clock.now(),
    };
    state.wallets.insert(wallet);
    id
}

pub(crate) fn find<'a>(state: &'a State, id: &str) -> Result<&'a Wallet, Refusal> {
    state.wallets.get(id).ok_or_else(|| Refusal::missing("wallet", id))
}

/// The wallet, if it can pay.
pub(crate) fn active<'a>(state: &'a State, id: &str) -> Result<&'a Wallet, Refusal> {
    let wallet = find(state, id)?;
    match wallet.status {
        WalletStatus::Active => Ok(wallet),
        WalletStatus::Inactive | WalletStatus::Archived => {
            Err(Refusal::new(422, format!("wallet {id} is {:?}", wallet.status)))
        }
    }
}

pub(crate) fn list(state: &mut State, visit: &Visit) -> Outcome {
    let page = Page::read(&visit.query, 50, 500)?;
    let (found, next) = state.wallets.page(&page, |_| true);
    let items: Vec<Value> = found.into_iter().map(Wallet::view).collect();
    Answer::ok(&Listed { items, next_page_token: next })
}

pub(crate) fn get(state: &mut State, visit: &Visit) -> Outcome {
    Answer::ok(&find(state, visit.id())?.view())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Assets<'a> {
    wallet_id: &'a str,
    network: &'a str,
    assets: Vec<AssetView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    net_worth: Option<Usd>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AssetView<'a> {
    kind: AssetKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    contract: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    symbol: Option<&'a str>,
    decimals: u32,
    verified: bool,
    balance: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    quotes: Option<Usd>,
}

#[derive(Serialize)]
struct Usd {
    #[serde(rename = "USD")]
    usd: Box<RawValue>,
}

impl Usd {
    fn of(value: Option<rust_decimal::Decimal>) -> Option<Self> {
        Some(Self { usd: bank::json_number(value?)? })
    }
}

/// `GET /wallets/{id}/assets`
pub(crate) fn assets(state: &mut State, visit: &Visit) -> Outcome {
    let wallet = find(state, visit.id())?;
    let balance = |asset: &Asset| state.chain.balance(&wallet.network, asset, &wallet.address);
    let worth = wallet
        .assets
        .iter()
        .filter_map(|asset| asset.usd_value(balance(asset)))
        .try_fold(rust_decimal::Decimal::ZERO, rust_decimal::Decimal::checked_add);
    let with_worth = visit.query.one("netWorth") == Some("true");
    Answer::ok(&Assets {
        wallet_id: &wallet.id,
        network: wallet.network.name,
        assets: wallet
            .assets
            .iter()
            .map(|asset| AssetView {
                kind: asset.kind,
                contract: asset.contract.as_deref(),
                mint: asset.mint.as_deref(),
                symbol: asset.symbol.as_deref(),
                decimals: asset.decimals,
                verified: asset.verified,
                balance: balance(asset).to_string(),
                quotes: Usd::of(asset.usd_price()),
            })
            .collect(),
        net_worth: with_worth.then(|| Usd::of(worth)).flatten(),
    })
}

/// `GET /wallets/{id}/history`: confirmed movements, newest first.
pub(crate) fn history(state: &mut State, visit: &Visit) -> Outcome {
    let wallet = find(state, visit.id())?;
    let page = Page::read(&visit.query, 50, 500)?;
    let direction = match visit.query.one("direction") {
        None => None,
        Some(text @ ("In" | "Out")) => Some(text),
        Some(other) => return Err(Refusal::field("direction", other, "In or Out")),
    };
    let kind = visit.query.one("kind");
    let contract = visit.query.one("contract");
    let mine = |address: &str| wallet.network.same_address(address, &wallet.address);
    let rows = state.chain.movements().iter().enumerate().flat_map(|(index, movement)| {
        let item = move |direction| (index, movement, direction);
        [
            (mine(&movement.from) && movement.network == wallet.network.name).then(|| item("Out")),
            (mine(&movement.to) && movement.network == wallet.network.name).then(|| item("In")),
        ]
        .into_iter()
        .flatten()
    });
    let mut table = crate::table::Table::default();
    for (index, movement, way) in rows {
        let item_kind = match movement.asset.kind {
            AssetKind::Native => "NativeTransfer",
            AssetKind::Erc20 => "Erc20Transfer",
            AssetKind::Spl => "SplTransfer",
            AssetKind::Spl2022 => "Spl2022Transfer",
        };
        let wanted = direction.is_none_or(|direction| direction == way)
            && kind.is_none_or(|kind| kind == item_kind)
            && contract.is_none_or(|contract| movement.asset.contract.as_deref() == Some(contract));
        if !wanted {
            continue;
        }
        let mut metadata = asset_metadata(&movement.asset);
        // What the fee is counted in; how much it was is said below.
        metadata["fee"] = json!({
            "symbol": wallet.network.native,
            "decimals": wallet.network.native_asset().decimals,
        });
        let mut view = json!({
            "walletId": wallet.id,
            "direction": way,
            "network": movement.network,
            "blockNumber": movement.block,
            "txHash": movement.tx_hash,
            "timestamp": clock::iso(movement.at_ms),
            "metadata": metadata,
            "kind": item_kind,
            "from": movement.from,
            "to": movement.to,
            "value": movement.amount.to_string(),
            "fee": movement.fee.to_string(),
        });
        for (name, id) in [("contract", &movement.asset.contract), ("mint", &movement.asset.mint)] {
            if let Some(id) = id {
                view[name] = Value::from(id.as_str());
            }
        }
        // Deprecated by Dfns for `metadata.asset`, and still in the types of these two kinds.
        if matches!(movement.asset.kind, AssetKind::Native | AssetKind::Erc20) {
            for name in ["symbol", "decimals", "verified"] {
                if let Some(value) = metadata["asset"].get(name) {
                    view[name] = value.clone();
                }
            }
        }
        table.insert(HistoryItem { id: format!("{index}-{way}"), view });
    }
    let (found, next) = table.page(&page, |_| true);
    let items: Vec<&Value> = found.into_iter().map(|item| &item.view).collect();
    let mut answer = json!({"walletId": wallet.id, "network": wallet.network.name, "items": items});
    if let Some(next) = next {
        answer["nextPageToken"] = Value::from(next);
    }
    Answer::ok(&answer)
}

struct HistoryItem {
    id: String,
    view: Value,
}

impl Row for HistoryItem {
    fn id(&self) -> &str {
        &self.id
    }
}

/// `metadata` of a transfer: the asset, and its price where there is one.
pub(crate) fn asset_metadata(asset: &Asset) -> Value {
    let mut view = json!({"decimals": asset.decimals, "verified": asset.verified});
    if let Some(symbol) = &asset.symbol {
        view["symbol"] = Value::from(symbol.as_str());
    }
    if let Some(price) = asset.usd_price().and_then(bank::json_number)
        && let Ok(price) = serde_json::from_str::<Value>(price.get())
    {
        view["quotes"] = json!({"USD": price});
    }
    json!({"asset": view})
}

/// `GET /networks/fees?network=…`
pub(crate) fn fees(state: &mut State, visit: &Visit) -> Outcome {
    let name = visit.query.one("network").ok_or_else(|| Refusal::bad("network: expected in the query"))?;
    let network = Network::named(name)?;
    let block = block_at(state.clock.now_ms());
    let gwei = |max: u32, priority: u32| json!({"maxFeePerGas": format!("{max}000000000"), "maxPriorityFeePerGas": format!("{priority}000000000")});
    Answer::ok(&match network.family {
        Family::Evm => json!({
            "kind": "Eip1559",
            "network": network.name,
            "blockNumber": block,
            "baseFeePerGas": "25000000000",
            "slow": gwei(27, 1),
            "standard": gwei(30, 2),
            "fast": gwei(40, 5),
        }),
        Family::Solana => json!({
            "kind": "Solana",
            "network": network.name,
            "blockNumber": block,
            "slow": {"computeUnitPrice": "1000"},
            "standard": {"computeUnitPrice": "10000"},
            "fast": {"computeUnitPrice": "100000"},
        }),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallFunction {
    contract: String,
    abi: Function,
    calldata: Option<Value>,
}

/// One function of an ABI; its other parts do not matter here.
#[derive(Deserialize)]
struct Function {
    name: String,
}

impl CallFunction {
    /// The one argument of those functions that have one.
    fn address(&self) -> Result<&str, Refusal> {
        let address = match &self.calldata {
            Some(Value::Array(values)) => values.first(),
            Some(Value::Object(values)) => values.values().next(),
            Some(_) | None => None,
        };
        let address = address
            .and_then(Value::as_str)
            .ok_or_else(|| Refusal::bad("calldata: expected an array or object with one address"))?;
        wire::evm_address("calldata", address)?;
        Ok(address)
    }
}

/// The token at this address, if a wallet on the network knows it.
///
/// # Errors
/// 400 when it is no address, or no wallet knows it.
pub(crate) fn token<'a>(state: &'a State, network: &Network, contract: &str) -> Result<&'a Asset, Refusal> {
    wire::evm_address("contract", contract)?;
    state
        .wallets
        .iter()
        .filter(|wallet| wallet.network.name == network.name)
        .flat_map(|wallet| &wallet.assets)
        .find(|asset| asset.contract.as_deref().is_some_and(|it| it.eq_ignore_ascii_case(contract)))
        .ok_or_else(|| Refusal::field("contract", contract, "a token contract that a wallet knows"))
}

/// `POST /networks/{network}/call-function`: the answer is the function's value as JSON, whole
/// numbers as text. Dfns does not document the form.
pub(crate) fn call_function(state: &mut State, visit: &Visit) -> Outcome {
    let network = Network::named(visit.id())?;
    if network.family != Family::Evm {
        return Err(Refusal::bad("network: call-function works on EVM networks only"));
    }
    let asked: CallFunction = wire::read(&visit.body)?;
    let asset = token(state, &network, &asked.contract)?;
    Answer::ok(&match asked.abi.name.as_str() {
        "decimals" => Value::from(asset.decimals.to_string()),
        "symbol" => Value::from(asset.symbol.clone()),
        "paused" => Value::from(state.chain.switches(&network, asset).paused),
        "isBlacklisted" => {
            let address = network.canonical(asked.address()?);
            Value::from(state.chain.switches(&network, asset).blacklisted.contains(&address))
        }
        "balanceOf" => Value::from(state.chain.balance(&network, asset, asked.address()?).to_string()),
        other => {
            let expected = "balanceOf, paused, isBlacklisted, decimals or symbol, the functions simulated";
            return Err(Refusal::field("abi.name", other, expected));
        }
    })
}
