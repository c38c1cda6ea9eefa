//! What the sandbox knows about networks and assets.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::answer::Refusal;
use crate::ids::Ids;
use crate::wire;

/// How a network's addresses, fees and tokens work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Evm,
    Solana,
}

/// A network the sandbox can simulate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Network {
    pub(crate) name: &'static str,
    pub(crate) family: Family,
    pub(crate) native: &'static str,
}

const NETWORKS: &[Network] = &[
    evm("ArbitrumOne", "ETH"),
    evm("ArbitrumSepolia", "ETH"),
    evm("AvalancheC", "AVAX"),
    evm("AvalancheCFuji", "AVAX"),
    evm("Base", "ETH"),
    evm("BaseSepolia", "ETH"),
    evm("Bsc", "BNB"),
    evm("BscTestnet", "BNB"),
    evm("Ethereum", "ETH"),
    evm("EthereumHoodi", "ETH"),
    evm("EthereumSepolia", "ETH"),
    evm("Optimism", "ETH"),
    evm("OptimismSepolia", "ETH"),
    evm("Polygon", "POL"),
    evm("PolygonAmoy", "POL"),
    solana("Solana"),
    solana("SolanaDevnet"),
];

const fn evm(name: &'static str, native: &'static str) -> Network {
    Network { name, family: Family::Evm, native }
}

const fn solana(name: &'static str) -> Network {
    Network { name, family: Family::Solana, native: "SOL" }
}

impl Network {
    /// # Errors
    /// 400 when the network is none of those simulated.
    pub(crate) fn named(name: &str) -> Result<Self, Refusal> {
        NETWORKS.iter().copied().find(|network| network.name == name).ok_or_else(|| {
            let known: Vec<&str> = NETWORKS.iter().map(|network| network.name).collect();
            Refusal::field("network", name, &format!("one of those simulated: {}", known.join(", ")))
        })
    }

    pub(crate) fn native_asset(&self) -> Asset {
        Asset {
            kind: AssetKind::Native,
            contract: None,
            mint: None,
            name: None,
            symbol: Some(self.native.to_owned()),
            decimals: match self.family {
                Family::Evm => 18,
                Family::Solana => 9,
            },
            verified: true,
        }
    }

    /// A fresh address on this network.
    pub(crate) fn address(&self, ids: &mut Ids) -> String {
        match self.family {
            Family::Evm => format!("0x{}", ids.hex::<20>()),
            Family::Solana => ids.base58::<32>(),
        }
    }

    /// A fresh transaction hash or signature.
    pub(crate) fn transaction_hash(&self, ids: &mut Ids) -> String {
        match self.family {
            Family::Evm => format!("0x{}", ids.hex::<32>()),
            Family::Solana => ids.base58::<64>(),
        }
    }

    /// What one transfer costs, in the native asset's smallest unit: 65,000 gas at 30 gwei, or one signature.
    pub(crate) fn transfer_fee(&self) -> u128 {
        match self.family {
            Family::Evm => 65_000 * 30_000_000_000,
            Family::Solana => 5_000,
        }
    }

    pub(crate) fn check_address(&self, field: &str, text: &str) -> Result<(), Refusal> {
        match self.family {
            Family::Evm => wire::evm_address(field, text),
            Family::Solana => wire::solana_address(field, text),
        }
    }

    /// EVM addresses are the same in any case; all others must match exactly.
    pub(crate) fn same_address(&self, left: &str, right: &str) -> bool {
        match self.family {
            Family::Evm => left.eq_ignore_ascii_case(right),
            Family::Solana => left == right,
        }
    }

    /// The one spelling under which an address is kept.
    pub(crate) fn canonical(&self, address: &str) -> String {
        match self.family {
            Family::Evm => address.to_ascii_lowercase(),
            Family::Solana => address.to_owned(),
        }
    }
}

/// The asset kinds simulated; Dfns has more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum AssetKind {
    Native,
    Erc20,
    Spl,
    Spl2022,
}

/// An asset a wallet can hold, as a control call or an answer describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Asset {
    pub(crate) kind: AssetKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) contract: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) symbol: Option<String>,
    pub(crate) decimals: u32,
    #[serde(default)]
    pub(crate) verified: bool,
}

impl Asset {
    /// USDC: six decimals, verified.
    pub(crate) fn usdc(network: &Network) -> Self {
        let (kind, contract, mint) = match network.family {
            Family::Evm => (AssetKind::Erc20, Some("0x3c499c542cef5e3811e1192ce70d8cc03d5c3359"), None),
            Family::Solana => (AssetKind::Spl, None, Some("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v")),
        };
        Self {
            kind,
            contract: contract.map(str::to_owned),
            mint: mint.map(str::to_owned),
            name: Some("USD Coin".to_owned()),
            symbol: Some("USDC".to_owned()),
            decimals: 6,
            verified: true,
        }
    }

    /// The name under which balances are kept and nominal limits are written: `native:pol`,
    /// `erc20:<lower-case contract>`, `spl:<mint>`.
    pub(crate) fn key(&self) -> String {
        let token = |kind: &str, id: &Option<String>| format!("{kind}:{}", id.as_deref().unwrap_or_default());
        match self.kind {
            AssetKind::Native => {
                format!("native:{}", self.symbol.as_deref().unwrap_or_default().to_ascii_lowercase())
            }
            AssetKind::Erc20 => token("erc20", &self.contract).to_ascii_lowercase(),
            AssetKind::Spl => token("spl", &self.mint),
            AssetKind::Spl2022 => token("spl2022", &self.mint),
        }
    }

    /// # Errors
    /// 400 when the asset cannot exist on this network or lacks its id.
    pub(crate) fn check(&self, network: &Network) -> Result<(), Refusal> {
        match (self.kind, network.family, &self.contract, &self.mint) {
            (AssetKind::Native, _, None, None) => Ok(()),
            (AssetKind::Erc20, Family::Evm, Some(contract), None) => wire::evm_address("contract", contract),
            (AssetKind::Spl | AssetKind::Spl2022, Family::Solana, None, Some(mint)) => {
                wire::solana_address("mint", mint)
            }
            (kind, ..) => Err(Refusal::bad(format!(
                "asset: kind {kind:?} on {} needs {}",
                network.name,
                match kind {
                    AssetKind::Native => "neither contract nor mint",
                    AssetKind::Erc20 => "an EVM network and a contract",
                    AssetKind::Spl | AssetKind::Spl2022 => "a Solana network and a mint",
                }
            ))),
        }
    }

    /// USD for one whole unit, where the sandbox has a price. Fixed, so that limits are predictable.
    pub(crate) fn usd_price(&self) -> Option<Decimal> {
        match self.symbol.as_deref()? {
            "USDC" | "USDT" | "PYUSD" => Some(Decimal::ONE),
            "POL" => Some(Decimal::new(5, 1)),
            "AVAX" => Some(Decimal::from(30)),
            "SOL" => Some(Decimal::from(150)),
            "BNB" => Some(Decimal::from(600)),
            "ETH" => Some(Decimal::from(3000)),
            _ => None,
        }
    }

    /// The value of this many smallest units; `None` when there is no price or it does not fit.
    pub(crate) fn usd_value(&self, amount: u128) -> Option<Decimal> {
        let whole = Decimal::try_from_i128_with_scale(i128::try_from(amount).ok()?, self.decimals).ok()?;
        whole.checked_mul(self.usd_price()?)
    }
}
