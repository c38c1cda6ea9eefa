//! What a policy does, in facts.

mod approving;
mod cases;
mod golden;
mod model;
mod reading;
mod ready;
mod revisions;
mod statements;

use super::{Initiator, Policy};

/// A public key that nobody has: 32 bytes that count up from this one.
fn key(first: u8) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = (0..32).map(|n| first.wrapping_add(n)).collect();
    let mut text = String::from("ed25519:");
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for sextet in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * sextet) & 63) as usize]));
        }
    }
    text.push('=');
    text
}

/// A policy of these rules, with ana, ben and cleo, who are the treasury, dora and ben, who are compliance, and two
/// starters, one of which is also cleo's.
fn with_rules(rules: &str) -> String {
    let people = ["ana", "ben", "cleo", "dora"].iter().zip(1u8..);
    let people: String = people.map(|(name, n)| format!("[people.{name}]\nkey = \"{}\"\n", key(n))).collect();
    format!(
        "name = \"test\"\n{people}\
         [groups.treasury]\npeople = [\"ana\", \"ben\", \"cleo\"]\n\
         [groups.compliance]\npeople = [\"ben\", \"dora\"]\n\
         [starters.payroll]\nkey = \"{}\"\nprograms = [\"*\"]\n\
         [starters.cleos]\nkey = \"{}\"\nprograms = [\"bills\"]\n\
         [orders]\ngroups = [\"compliance\"]\n{rules}",
        key(50),
        key(3),
    )
}

fn policy(rules: &str) -> Policy {
    let text = with_rules(rules);
    Policy::read(&text).unwrap_or_else(|errors| panic!("{errors:#?}\n{text}"))
}

fn payroll() -> Initiator {
    Initiator::Starter { name: "payroll".into() }
}
