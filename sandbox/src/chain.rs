//! The chains: who holds how much of what, to the last unit, and what moved.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::networks::{Asset, Network};

/// Where the fees of a network go, so that no unit is ever lost from the books.
pub(crate) const FEES: &str = "network-fees";

/// One asset on one network.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Holding {
    pub(crate) network: String,
    pub(crate) asset: String,
}

/// What one address holds of one asset.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Account {
    pub(crate) current: u128,
    /// What was put here by setting a balance; the rest came and went by transfers.
    pub(crate) granted: i128,
}

/// One confirmed movement, for wallet histories.
#[derive(Debug, Clone)]
pub(crate) struct Movement {
    pub(crate) network: String,
    pub(crate) asset: Asset,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) amount: u128,
    pub(crate) fee: u128,
    pub(crate) tx_hash: String,
    pub(crate) block: u64,
    pub(crate) at_ms: i64,
}

/// Why a movement could not be made.
#[derive(Debug)]
pub(crate) struct TooLittle {
    pub(crate) has: u128,
    pub(crate) needs: u128,
}

impl std::fmt::Display for TooLittle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "balance {} is less than {}", self.has, self.needs)
    }
}

/// What the issuer of a token has switched on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Switches {
    pub(crate) paused: bool,
    /// Addresses in their one spelling: nothing goes from or to them.
    pub(crate) blacklisted: BTreeSet<String>,
}

/// All balances of an organisation's world, and their history.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    accounts: BTreeMap<Holding, BTreeMap<String, Account>>,
    switches: BTreeMap<Holding, Switches>,
    movements: Vec<Movement>,
}

impl Chain {
    pub(crate) fn balance(&self, network: &Network, asset: &Asset, address: &str) -> u128 {
        self.accounts
            .get(&holding(network, asset))
            .and_then(|accounts| accounts.get(&network.canonical(address)))
            .map_or(0, |account| account.current)
    }

    /// Sets a balance from outside; the difference is booked as granted.
    pub(crate) fn set(&mut self, network: &Network, asset: &Asset, address: &str, amount: u128) {
        let account = self.account(network, asset, network.canonical(address));
        let signed = |value: u128| i128::try_from(value).unwrap_or(i128::MAX);
        account.granted = account.granted.saturating_add(signed(amount).saturating_sub(signed(account.current)));
        account.current = amount;
    }

    /// Moves tokens from one address to another, all or nothing.
    pub(crate) fn transfer(
        &mut self,
        network: &Network,
        asset: &Asset,
        from: &str,
        to: &str,
        amount: u128,
    ) -> Result<(), TooLittle> {
        let (from, to) = (network.canonical(from), network.canonical(to));
        let payer = self.account(network, asset, from);
        let Some(rest) = payer.current.checked_sub(amount) else {
            return Err(TooLittle { has: payer.current, needs: amount });
        };
        payer.current = rest;
        let payee = self.account(network, asset, to);
        payee.current = payee.current.saturating_add(amount);
        Ok(())
    }

    pub(crate) fn switches(&self, network: &Network, asset: &Asset) -> Switches {
        self.switches.get(&holding(network, asset)).cloned().unwrap_or_default()
    }

    pub(crate) fn switches_mut(&mut self, network: &Network, asset: &Asset) -> &mut Switches {
        self.switches.entry(holding(network, asset)).or_default()
    }

    /// Why the token itself lets nothing go from one address to another, if it does not.
    pub(crate) fn refusal(&self, network: &Network, asset: &Asset, from: &str, to: &str) -> Option<String> {
        let switches = self.switches(network, asset);
        if switches.paused {
            return Some("the token is paused".to_owned());
        }
        let listed = [from, to].into_iter().find(|address| switches.blacklisted.contains(&network.canonical(address)));
        listed.map(|address| format!("{address} is blacklisted"))
    }

    /// Takes a network fee from an address.
    pub(crate) fn pay_fee(&mut self, network: &Network, from: &str, fee: u128) -> Result<(), TooLittle> {
        self.transfer(network, &network.native_asset(), from, FEES, fee)
    }

    pub(crate) fn record(&mut self, movement: Movement) {
        self.movements.push(movement);
    }

    pub(crate) fn movements(&self) -> &[Movement] {
        &self.movements
    }

    /// Every account that was ever touched.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = (&Holding, &String, &Account)> {
        self.accounts
            .iter()
            .flat_map(|(holding, accounts)| accounts.iter().map(move |(address, account)| (holding, address, account)))
    }

    fn account(&mut self, network: &Network, asset: &Asset, address: String) -> &mut Account {
        self.accounts.entry(holding(network, asset)).or_default().entry(address).or_default()
    }
}

fn holding(network: &Network, asset: &Asset) -> Holding {
    Holding { network: network.name.to_owned(), asset: asset.key() }
}

/// The block height at this time: two seconds a block.
pub(crate) fn block_at(at_ms: i64) -> u64 {
    u64::try_from(at_ms / 2000).unwrap_or(0)
}
