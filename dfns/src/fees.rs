//! What a network charges now, and read-only contract calls. `/networks…`
//!
//! Sources: Dfns docs and OpenAPI 2.0.155. The answer of a contract call is not documented there.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::{Dfns, segment};
use crate::error::Error;
use crate::open::open_enum;
use crate::wire;

impl Dfns {
    /// Fee levels of a network: EVM, Bitcoin-like and Solana only. `GET /networks/fees?network=…`
    ///
    /// # Errors
    /// See [`Error`]; safe to repeat.
    pub async fn network_fees(&self, network: &str) -> Result<NetworkFees, Error> {
        self.get("/networks/fees", vec![("network", network.to_owned())]).await?.value()
    }

    /// Asks a contract something; changes nothing and needs no signature. EVM only.
    /// `POST /networks/{network}/call-function`
    ///
    /// # Errors
    /// See [`Error`]; safe to repeat.
    pub async fn call_function(&self, network: &str, call: &CallFunction) -> Result<Value, Error> {
        let path = format!("/networks/{}/call-function", segment("network", network)?);
        self.ask(&path, wire::to_bytes(call)).await?.value()
    }
}

/// What a network charges now.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkFees {
    /// How fees work there.
    pub kind: FeeKind,
    /// Network, an open word such as `Polygon`.
    #[serde(default)]
    pub network: Option<String>,
    /// Block the figures are of.
    #[serde(default, deserialize_with = "wire::read_text")]
    pub block_number: Option<String>,
    /// Digits, in the smallest unit of the network's coin, per gas (`Eip1559`).
    #[serde(default, deserialize_with = "wire::read_text")]
    pub base_fee_per_gas: Option<String>,
    /// Cheapest level.
    #[serde(default)]
    pub slow: FeeLevel,
    /// Usual level.
    #[serde(default)]
    pub standard: FeeLevel,
    /// Dearest level.
    #[serde(default)]
    pub fast: FeeLevel,
}

/// One level; fields that its kind does not have are `None`. Digits, in the smallest unit of the
/// network's coin.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FeeLevel {
    /// Most per gas (`Eip1559`).
    #[serde(default, deserialize_with = "wire::read_text")]
    pub max_fee_per_gas: Option<String>,
    /// Tip per gas (`Eip1559`).
    #[serde(default, deserialize_with = "wire::read_text")]
    pub max_priority_fee_per_gas: Option<String>,
    /// Per virtual byte (`Bitcoin`).
    #[serde(default, deserialize_with = "wire::read_text")]
    pub fee_rate: Option<String>,
    /// Blocks until it is likely in (`Bitcoin`).
    #[serde(default, deserialize_with = "wire::read_text")]
    pub block_horizon: Option<String>,
    /// Per compute unit (`Solana`).
    #[serde(default, deserialize_with = "wire::read_text")]
    pub compute_unit_price: Option<String>,
}

/// A read-only contract call, such as `balanceOf` or `paused`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CallFunction {
    /// Contract address.
    pub contract: String,
    /// One function entry of an ABI: `{type, name, stateMutability, inputs, outputs}`.
    pub abi: Value,
    /// Arguments. Their shape is not documented where we could read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calldata: Option<Value>,
}

open_enum! {
    /// How fees work on a network.
    FeeKind {
        Eip1559 = "Eip1559",
        Bitcoin = "Bitcoin",
        Solana = "Solana",
    }
}
