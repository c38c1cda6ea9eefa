//! Random payouts against random policies: every decision is that of a second, slow and simple way of deciding, which
//! shares no code with the first, counts a list of earlier payouts itself, and never sees the policy file.
//!
//! `REMIT_MODEL_CASES=1000000` at build time decides more of them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::{
    super::{
        Dimension, Facts, Initiator, MicroUsd, Past, Policy, Price, Question, RevisionId, Screened, Sum, Traits,
        Verdict, When, decide,
    },
    with_rules,
};
use crate::{
    Amount, Asset, Attempt, BankDestination, Destination, ExternalId, Fiat, Offer, PayoutRequest, Program, Purpose,
    Source, WalletId,
};

/// SplitMix64: the same numbers for ever.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.roll(n) == 0
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[usize::try_from(self.roll(all.len() as u64)).unwrap()]
    }

    /// Some of them, at least one.
    fn some<'a, T>(&mut self, all: &'a [T]) -> Vec<&'a T> {
        let first = usize::try_from(self.roll(all.len() as u64)).unwrap();
        let mut chosen: Vec<&T> = vec![&all[first]];
        for (n, it) in all.iter().enumerate() {
            if n != first && self.one_in(3) {
                chosen.push(it);
            }
        }
        chosen
    }
}

/// What a payout can be in each dimension: few values, so that filters match and windows fill.
const VALUES: [(&str, &[&str]); 9] = [
    ("chain", &["Polygon", "Solana"]),
    (
        "asset",
        &["Erc20:0x3c499c542cef5e3811e1192ce70d8cc03d5c3359", "Spl:EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"],
    ),
    ("program", &["payroll", "bills", ""]),
    ("counterparty", &["Borderless/acc-1/pi-1", "Borderless/acc-1/pi-2", "Borderless/acc-2/pi-1"]),
    ("wallet", &["wa-5pfuu-9euek-h0odgb6snva8ph3k", "wa-5pfuu-9euek-h0odgb6snva8ph3l"]),
    ("country", &["BR", "DE"]),
    ("currency", &["BRL", "EUR"]),
    ("purpose", &["salary payment", "other"]),
    ("source", &["api", "file", "schedule"]),
];
const SIGNS: [&str; 7] = [
    "first-payment",
    "far-above-history",
    "unusual-hour",
    "burst",
    "new-corridor",
    "just-under-threshold",
    "same-again",
];
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// Zones without summer time, and how many minutes they are ahead.
const ZONES: [(&str, i64); 4] = [("UTC", 0), ("Asia/Kolkata", 330), ("Asia/Tokyo", 540), ("America/Sao_Paulo", -180)];
const GROUPS: [(&str, &[&str]); 2] = [("treasury", &["ana", "ben", "cleo"]), ("compliance", &["ben", "dora"])];

/// A payout in every dimension, in the order of [`VALUES`].
type Place = [&'static str; 9];

enum Looks {
    Always,
    Limit {
        micros: u64,
    },
    Velocity {
        micros: u64,
        seconds: u64,
        per: Vec<usize>,
    },
    Count {
        limit: u64,
        seconds: u64,
        per: Vec<usize>,
    },
    Whitelist {
        recipients: Vec<&'static str>,
    },
    New {
        seconds: u64,
    },
    Fee {
        bps: Option<u64>,
        cents: Option<(u64, &'static str)>,
    },
    /// `cents` of the currency for one dollar.
    Slippage {
        bps: u64,
        cents: u64,
        currency: &'static str,
    },
    Hours {
        zone: usize,
        days: Vec<usize>,
        from: u64,
        to: u64,
    },
    Screening,
    Anomaly {
        signs: Vec<&'static str>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Asks {
    Block,
    Flag,
    /// So many of the first group, so many of the second; none of zero.
    Approval(u64, u64),
}

struct Rule {
    name: String,
    filter: BTreeMap<usize, Vec<&'static str>>,
    looks: Looks,
    asks: Asks,
}

fn usd(micros: u64) -> String {
    format!("\"{}.{:06} USD\"", micros / 1_000_000, micros % 1_000_000)
}

fn list<T: AsRef<str>>(all: &[T]) -> String {
    let all: Vec<String> = all.iter().map(|it| format!("{:?}", it.as_ref())).collect();
    format!("[{}]", all.join(", "))
}

impl Rule {
    fn random(n: u64, dice: &mut Dice) -> Self {
        let mut filter = BTreeMap::new();
        for (dimension, (_, values)) in VALUES.iter().enumerate() {
            if dice.one_in(8) {
                filter.insert(dimension, dice.some(values).into_iter().copied().collect());
            }
        }
        let money = |dice: &mut Dice| match dice.roll(8) {
            0 => 0,
            1 => dice.roll(2_000_000_000),
            _ => dice.roll(20) * 100_000_000,
        };
        let seconds = |dice: &mut Dice| *dice.pick(&[1, 60, 3600, 86_400]);
        let per = |dice: &mut Dice| match dice.roll(2) {
            0 => vec![],
            _ => dice.some(&[0usize, 1, 2, 3, 4, 5, 6, 7, 8]).into_iter().copied().collect(),
        };
        let looks = match dice.roll(11) {
            0 => Looks::Always,
            1 => Looks::Limit { micros: money(dice) },
            2 => Looks::Velocity { micros: money(dice), seconds: seconds(dice), per: per(dice) },
            3 => Looks::Count { limit: dice.roll(6), seconds: seconds(dice), per: per(dice) },
            4 => Looks::Whitelist { recipients: dice.some(VALUES[3].1).into_iter().copied().collect() },
            5 => Looks::New { seconds: seconds(dice) },
            6 => {
                let bps = dice.one_in(2).then(|| dice.roll(4) * 50);
                let currency = *dice.pick(VALUES[6].1);
                let cents = (bps.is_none() || dice.one_in(2)).then(|| (dice.roll(6) * 500, currency));
                if cents.is_some() {
                    filter.insert(6, vec![currency]);
                }
                Looks::Fee { bps, cents }
            }
            7 => {
                let currency = *dice.pick(VALUES[6].1);
                filter.insert(6, vec![currency]);
                Looks::Slippage { bps: dice.roll(5) * 100, cents: 80 + dice.roll(4) * 20, currency }
            }
            8 => {
                let days = dice.some(&[0usize, 1, 2, 3, 4, 5, 6]).into_iter().copied().collect();
                let from = dice.roll(12) * 60 + dice.roll(2) * 30;
                let zone = usize::try_from(dice.roll(4)).unwrap();
                Looks::Hours { zone, days, from, to: from + 1 + dice.roll(1440 - from) }
            }
            9 => Looks::Screening,
            _ => Looks::Anomaly { signs: dice.some(&SIGNS).into_iter().copied().collect() },
        };
        let asks = match dice.roll(4) {
            0 => Asks::Block,
            1 => Asks::Flag,
            _ => *dice.pick(&[Asks::Approval(1, 0), Asks::Approval(2, 0), Asks::Approval(0, 1), Asks::Approval(2, 2)]),
        };
        Self { name: format!("rule {n}"), filter, looks, asks }
    }

    fn toml(&self) -> String {
        let mut text = format!("[[rule]]\nname = {:?}\n", self.name);
        for (dimension, values) in &self.filter {
            text += &format!("filter.{} = {}\n", VALUES[*dimension].0, list(values));
        }
        let per = |per: &[usize]| {
            let names: Vec<&str> = per.iter().map(|dimension| VALUES[*dimension].0).collect();
            if per.is_empty() { String::new() } else { format!("per = {}\n", list(&names)) }
        };
        let clock = |minute: u64| format!("\"{:02}:{:02}\"", minute / 60, minute % 60);
        text += &match &self.looks {
            Looks::Always => "kind = \"AlwaysTrigger\"\n".to_owned(),
            Looks::Limit { micros } => format!("kind = \"TransactionAmountLimit\"\nlimit = {}\n", usd(*micros)),
            Looks::Velocity { micros, seconds, per: apart } => format!(
                "kind = \"TransactionAmountVelocity\"\nlimit = {}\nwindow = \"{seconds}s\"\n{}",
                usd(*micros),
                per(apart)
            ),
            Looks::Count { limit, seconds, per: apart } => {
                format!("kind = \"TransactionCountVelocity\"\nlimit = {limit}\nwindow = \"{seconds}s\"\n{}", per(apart))
            }
            Looks::Whitelist { recipients } => {
                format!("kind = \"TransactionRecipientWhitelist\"\nrecipients = {}\n", list(recipients))
            }
            Looks::New { seconds } => format!("kind = \"NewBeneficiary\"\ncooling_off = \"{seconds}s\"\n"),
            Looks::Fee { bps, cents } => {
                let mut text = "kind = \"FeeLimit\"\n".to_owned();
                if let Some(bps) = bps {
                    text += &format!("fees_at_most_bps = {bps}\n");
                }
                if let Some((cents, currency)) = cents {
                    text += &format!("fees_at_most = \"{}.{:02} {currency}\"\n", cents / 100, cents % 100);
                }
                text
            }
            Looks::Slippage { bps, cents, currency } => format!(
                "kind = \"SlippageLimit\"\nslippage_at_most_bps = {bps}\none_usd = \"{}.{:02} {currency}\"\n",
                cents / 100,
                cents % 100
            ),
            Looks::Hours { zone, days, from, to } => {
                let days: Vec<&str> = days.iter().map(|day| DAYS[*day]).collect();
                let (zone, from, to) = (ZONES[*zone].0, clock(*from), clock(*to));
                format!("kind = \"BusinessHours\"\nzone = {zone:?}\ndays = {}\nfrom = {from}\nto = {to}\n", list(&days))
            }
            Looks::Screening => "kind = \"Screening\"\n".to_owned(),
            Looks::Anomaly { signs } => format!("kind = \"Anomaly\"\nsigns = {}\n", list(signs)),
        };
        text += &match self.asks {
            Asks::Block => "action = \"Block\"\n".to_owned(),
            Asks::Flag => "action = \"Flag\"\n".to_owned(),
            Asks::Approval(treasury, compliance) => {
                let both = [treasury, compliance];
                let asked = GROUPS.iter().zip(both).filter(|(_, quorum)| *quorum > 0);
                let asked: Vec<String> =
                    asked.map(|((group, _), quorum)| format!("{{ group = {group:?}, quorum = {quorum} }}")).collect();
                format!("action = \"RequestApproval\"\napprovals = [{}]\ntimeout = \"1h\"\n", asked.join(", "))
            }
        };
        text
    }
}

/// An earlier payout that counts: on its way, or spent so many seconds ago.
struct Earlier {
    place: Place,
    micros: Option<u64>,
    spent_ago: Option<u64>,
}

/// Everything about a payout, as plain numbers.
struct Payout {
    place: Place,
    units: u128,
    /// Millionths of a dollar for a whole token, its decimals, and how many seconds old.
    price: Option<(u64, u8, i64)>,
    starter: Option<&'static str>,
    unproven: bool,
    hits: u64,
    before_confirm: bool,
    /// Each: cents that are paid out, cents of fees, in which currency.
    offers: Vec<(u64, u64, &'static str)>,
    now: i64,
    earlier: Vec<Earlier>,
    first_paid_ago: Option<i64>,
    to_count: u64,
    to_largest: u64,
    program_count: u64,
    program_largest: u64,
    program_hour: u64,
    program_now: u64,
    corridor_used: bool,
    same: u64,
    lately: Vec<u64>,
}

fn place(dice: &mut Dice) -> Place {
    VALUES.map(|(_, values)| *dice.pick(values))
}

impl Payout {
    fn random(dice: &mut Dice) -> Self {
        let micros = |dice: &mut Dice| match dice.roll(4) {
            0 => 1 + dice.roll(2_000_000_000),
            _ => 10_000_000 * (1 + dice.roll(120)),
        };
        let earlier = (0..dice.roll(7)).map(|_| Earlier {
            place: place(dice),
            micros: (!dice.one_in(15)).then(|| micros(dice)),
            spent_ago: (!dice.one_in(3)).then(|| *dice.pick(&[0, 1, 59, 60, 61, 3599, 3600, 86_399, 86_400])),
        });
        let earlier: Vec<Earlier> = earlier.collect();
        let price = match dice.roll(16) {
            0 => None,
            1 => Some((0, 6, 0)),
            2 => Some((1_000_000, 6, 3600)),
            3 => Some((1_000_000, 6, -1)),
            4 => Some((999_999, u8::try_from(dice.roll(19)).unwrap(), 3599)),
            _ => Some((1_000_000, 6, i64::try_from(dice.roll(3600)).unwrap())),
        };
        let units = if dice.one_in(20) { *dice.pick(&[1, u128::MAX, 1 << 100]) } else { u128::from(micros(dice)) };
        Self {
            place: place(dice),
            units,
            price,
            starter: *dice.pick(&[Some("payroll"), Some("payroll"), Some("payroll"), Some("cleos"), Some("eve"), None]),
            unproven: dice.one_in(20),
            hits: if dice.one_in(8) { 1 + dice.roll(2) } else { 0 },
            before_confirm: dice.one_in(2),
            offers: (0..*dice.pick(&[0, 0, 1, 1, 1, 2]))
                .map(|_| (dice.roll(20) * 5_000, dice.roll(8) * 500, *dice.pick(&["BRL", "EUR", "EUR", "BRL", "USD"])))
                .collect(),
            now: 1_796_000_000 + i64::try_from(dice.roll(700_000)).unwrap(),
            earlier,
            first_paid_ago: (!dice.one_in(4)).then(|| *dice.pick(&[0, 1, 59, 60, 3599, 3600, 86_400, 1_000_000])),
            to_count: dice.roll(6),
            to_largest: dice.roll(5) * 100_000_000,
            program_count: *dice.pick(&[0, 19, 20, 49, 50, 100, 200, 30_000]),
            program_largest: dice.roll(5) * 100_000_000,
            program_hour: dice.roll(4),
            program_now: *dice.pick(&[0, 19, 20, 23, 24]),
            corridor_used: !dice.one_in(4),
            same: if dice.one_in(8) { 1 } else { 0 },
            lately: (0..dice.roll(5)).map(|_| 10_000_000 * dice.roll(130)).collect(),
        }
    }

    fn request(&self) -> PayoutRequest {
        let [_, asset, program, counterparty, wallet, country, currency, purpose, source] = self.place;
        let (kind, address) = asset.split_once(':').unwrap();
        let address = address.to_owned();
        let parts: Vec<String> = counterparty.split('/').map(str::to_owned).collect();
        PayoutRequest {
            external_id: ExternalId::parse("inv-1").unwrap(),
            wallet_id: WalletId::parse(wallet).unwrap(),
            asset: if kind == "Spl" { Asset::Spl { mint: address } } else { Asset::Erc20 { contract: address } },
            amount: Amount::parse(&self.units.to_string()).unwrap(),
            destination: Destination::Bank(BankDestination {
                provider: parts[0].clone(),
                account_id: parts[1].clone(),
                instructions_id: parts[2].clone(),
                currency: currency.into(),
                country: country.into(),
                beneficiary_name: None,
                purpose: Purpose::parse(purpose).unwrap(),
            }),
            program: (!program.is_empty()).then(|| Program::parse(program).unwrap()),
            guards: None,
            attempt: Attempt::FIRST,
            source: Source::parse(source).unwrap(),
            signed: None,
        }
    }

    fn facts(&self, policy: &Policy, request: &PayoutRequest) -> Facts {
        let now = Timestamp::from_second(self.now).unwrap();
        let ago = |seconds: i64| now - SignedDuration::from_secs(seconds);
        let traits = Traits::of(request, self.place[0]);
        let initiator = match self.starter {
            _ if self.unproven => Initiator::Unproven { why: "no".into() },
            Some(name) => Initiator::Starter { name: name.into() },
            None => Initiator::Unsigned,
        };
        let mut past = Past {
            first_paid: self.first_paid_ago.map(ago),
            by_program_at_this_hour: self.program_hour,
            by_program_just_now: self.program_now,
            corridor_used: self.corridor_used,
            same_within_a_day: (0..self.same).map(|n| format!("inv-{n}")).collect(),
            lately_to_counterparty: self.lately.iter().copied().map(MicroUsd).collect(),
            ..Past::default()
        };
        (past.to_counterparty.count, past.to_counterparty.largest) = (self.to_count, MicroUsd(self.to_largest));
        (past.by_program.count, past.by_program.largest) = (self.program_count, MicroUsd(self.program_largest));
        Facts {
            now,
            when: if self.before_confirm { When::BeforeConfirm } else { When::Start },
            price: self.price.map(|(usd, decimals, age)| Price {
                usd: MicroUsd(usd),
                decimals,
                source: "model".into(),
                at: ago(age),
            }),
            initiator,
            screened: Screened { lists: vec![], hits: (0..self.hits).map(|n| format!("hit {n}")).collect() },
            offers: self
                .offers
                .iter()
                .map(|(receives, fees, currency)| Offer {
                    receives: Fiat {
                        amount: rust_decimal::Decimal::new(receives.cast_signed(), 2),
                        currency: (*currency).into(),
                    },
                    fees: rust_decimal::Decimal::new(fees.cast_signed(), 2),
                })
                .collect(),
            sums: policy.questions(&traits).iter().map(|question| self.answer(question)).collect(),
            traits,
            past,
        }
    }

    /// What records would answer.
    fn answer(&self, question: &Question) -> Sum {
        let mut sum = Sum::default();
        for it in &self.earlier {
            let of = |(dimension, values): (&Dimension, &BTreeSet<String>)| {
                let at = VALUES.iter().position(|(name, _)| *name == dimension.as_str()).unwrap();
                values.contains(it.place[at])
            };
            if question.of.iter().all(of) && it.spent_ago.is_none_or(|ago| ago < question.window_seconds.into()) {
                sum.count += 1;
                match it.micros {
                    Some(micros) => sum.usd += u128::from(micros),
                    None => sum.unpriced += 1,
                }
            }
        }
        sum
    }

    // From here on: the second way of deciding.

    /// Millionths of a dollar.
    fn worth(&self) -> Option<u64> {
        let (usd, decimals, age) = self.price?;
        if usd == 0 || !(0..3600).contains(&age) {
            return None;
        }
        let mut whole: u128 = 1;
        for _ in 0..decimals {
            whole *= 10;
        }
        // With 18 decimals at most, what does not fit into 128 bits is worth far more than can be counted.
        let exact = self.units.checked_mul(usd.into())?;
        let mut worth = exact / whole;
        if worth * whole < exact {
            worth += 1;
        }
        if worth < 1 << 63 { u64::try_from(worth).ok() } else { None }
    }

    fn is_looked_at(&self, rule: &Rule) -> bool {
        (0..9).all(|n| !rule.filter.contains_key(&n) || rule.filter[&n].contains(&self.place[n]))
    }

    /// Those that count in a rule's window.
    fn counting(&self, rule: &Rule, seconds: u64, per: &[usize]) -> Vec<&Earlier> {
        let mut all = Vec::new();
        for it in &self.earlier {
            let filtered = (0..9).all(|n| !rule.filter.contains_key(&n) || rule.filter[&n].contains(&it.place[n]));
            let alike = per.iter().all(|n| it.place[*n] == self.place[*n]);
            let recent = match it.spent_ago {
                None => true,
                Some(ago) => ago < seconds,
            };
            if filtered && alike && recent {
                all.push(it);
            }
        }
        all
    }

    fn triggers(&self, rule: &Rule, all: &[Rule]) -> bool {
        match &rule.looks {
            Looks::Always => true,
            Looks::Limit { micros } => self.worth().is_none_or(|worth| worth > *micros),
            Looks::Velocity { micros, seconds, per } => {
                let Some(mut total) = self.worth().map(i128::from) else { return true };
                for it in self.counting(rule, *seconds, per) {
                    let Some(micros) = it.micros else { return true };
                    total += i128::from(micros);
                }
                total > i128::from(*micros)
            }
            Looks::Count { limit, seconds, per } => self.counting(rule, *seconds, per).len() as u64 + 1 > *limit,
            Looks::Whitelist { recipients } => !recipients.contains(&self.place[3]),
            Looks::New { seconds } => self.first_paid_ago.is_none_or(|ago| ago.cast_unsigned() < *seconds),
            Looks::Fee { .. } | Looks::Slippage { .. } if self.offers.is_empty() => self.before_confirm,
            Looks::Fee { bps, cents } => self.offers.iter().any(|&(receives, fees, currency)| {
                let in_other = cents.is_some_and(|(_, of)| of != currency);
                let above = cents.is_some_and(|(most, _)| fees > most);
                let share = bps.is_some_and(|bps| fees * 10_000 > (receives + fees) * bps);
                in_other || above || share
            }),
            Looks::Slippage { bps, cents, currency } => self.offers.iter().any(|&(receives, fees, of)| {
                let Some(worth) = self.worth() else { return true };
                // In millionths of a cent: what is paid out, and the least that should be.
                let paid = i128::from(receives + fees) * 1_000_000 * 10_000;
                let least = i128::from(worth) * i128::from(*cents) * i128::from(10_000 - bps);
                of != *currency || paid < least
            }),
            Looks::Hours { zone, days, from, to } => {
                let minutes = self.now.div_euclid(60) + ZONES[*zone].1;
                let minute = minutes.rem_euclid(1440).cast_unsigned();
                // The first of January 1970 was a Thursday.
                let day = (minutes.div_euclid(1440) + 3).rem_euclid(7);
                let open_today = days.iter().any(|it| *it as i64 == day);
                !(open_today && minute >= *from && minute < *to)
            }
            Looks::Screening => self.hits > 0,
            Looks::Anomaly { signs } => signs.iter().any(|sign| self.shows(sign, all)),
        }
    }

    fn shows(&self, sign: &str, all: &[Rule]) -> bool {
        let worth = self.worth().map(i128::from);
        match sign {
            "first-payment" => self.first_paid_ago.is_none(),
            "far-above-history" => worth.is_some_and(|worth| {
                (self.to_count >= 3 && worth > i128::from(self.to_largest) * 3)
                    || (self.program_count >= 20 && worth > i128::from(self.program_largest) * 3)
            }),
            "unusual-hour" => self.program_count >= 50 && self.program_hour * 100 < self.program_count,
            // 90 days are 12,960 times ten minutes.
            "burst" => self.program_now >= 20 && self.program_now * 12_960 > self.program_count * 10,
            "new-corridor" => !self.corridor_used,
            "same-again" => self.same > 0,
            "just-under-threshold" => all.iter().filter(|rule| self.is_looked_at(rule)).any(|rule| {
                let Looks::Limit { micros } = rule.looks else { return false };
                let limit = i128::from(micros);
                let just_under = |it: i128| it <= limit && it * 10 >= limit * 9;
                let lately = self.lately.iter().filter(|it| just_under(i128::from(**it))).count();
                worth.is_some_and(just_under) && lately >= 2
            }),
            other => panic!("{other}"),
        }
    }

    /// What triggers, and what follows.
    fn decided(
        &self,
        rules: &[Rule],
        unsigned_allowed: bool,
    ) -> (BTreeSet<String>, Verdict, Vec<(String, String, u64)>) {
        let mut triggered = BTreeSet::new();
        let mut blocked = false;
        let mut wanted = Vec::new();
        let looking: Vec<&Rule> = rules.iter().filter(|rule| self.is_looked_at(rule)).collect();
        for rule in &looking {
            if self.triggers(rule, rules) {
                triggered.insert(rule.name.clone());
                match rule.asks {
                    Asks::Block => blocked = true,
                    Asks::Flag => {}
                    Asks::Approval(treasury, compliance) => {
                        for (group, quorum) in [("treasury", treasury), ("compliance", compliance)] {
                            if quorum > 0 {
                                wanted.push((rule.name.clone(), group.to_owned(), quorum));
                            }
                        }
                    }
                }
            }
        }
        let mut also = |name: &str| {
            triggered.insert(name.to_owned());
            blocked = true;
        };
        if looking.is_empty() {
            also("(no rule)");
        }
        // payroll may start everything, cleos bills alone.
        let proven = match self.starter {
            _ if self.unproven => false,
            None => unsigned_allowed,
            Some("payroll") => true,
            Some("cleos") => self.place[2] == "bills",
            Some(_) => false,
        };
        if !proven {
            also("(signature)");
        }
        let people_screen =
            looking.iter().any(|rule| matches!((&rule.looks, rule.asks), (Looks::Screening, Asks::Approval(..))));
        if self.hits > 0 && !people_screen {
            also("(screening)");
        }
        if blocked {
            (triggered, Verdict::Blocked, vec![])
        } else if wanted.is_empty() {
            (triggered, Verdict::Allowed, vec![])
        } else {
            (triggered, Verdict::NeedsApproval, wanted)
        }
    }
}

/// How many payouts are decided.
fn cases() -> u64 {
    option_env!("REMIT_MODEL_CASES").map_or(100_000, |text| text.parse().expect("REMIT_MODEL_CASES is a number"))
}

#[test]
fn random_payouts_are_decided_as_a_second_simpler_way_decides_them() {
    const TO_A_POLICY: u64 = 100;
    let mut dice = Dice(20_261_127);
    let mut verdicts: BTreeMap<&str, u64> = BTreeMap::new();
    for _ in 0..cases() / TO_A_POLICY {
        let rules: Vec<Rule> = (0..dice.roll(7)).map(|n| Rule::random(n, &mut dice)).collect();
        let unsigned_allowed = dice.one_in(2);
        let word = if unsigned_allowed { "allow" } else { "block" };
        let text: String = rules.iter().map(Rule::toml).collect();
        let text = format!("unsigned_starts = {word:?}\n{}", with_rules(&text));
        let policy = Policy::read(&text).unwrap_or_else(|errors| panic!("{errors:#?}\n{text}"));
        let revision = RevisionId { number: 1, hash: "h1".into() };
        for _ in 0..TO_A_POLICY {
            let payout = Payout::random(&mut dice);
            let request = payout.request();
            let facts = payout.facts(&policy, &request);
            let decision = decide(&policy, &revision, &request, &facts);
            let triggered: BTreeSet<String> =
                decision.spoke.iter().filter(|it| it.triggered).map(|it| it.rule.clone()).collect();
            let wanted: Vec<(String, String, u64)> =
                decision.wanted.iter().map(|it| (it.rule.clone(), it.group.clone(), it.quorum.into())).collect();
            let expected = payout.decided(&rules, unsigned_allowed);
            assert_eq!((triggered, decision.verdict, wanted), expected, "{facts:#?}\n{:#?}\n{text}", decision.spoke);
            assert_eq!(decision.usd.map(|usd| usd.0), payout.worth());
            // Every rule that looks at it has spoken, in the order of the file.
            let spoke: Vec<&str> = decision.spoke.iter().map(|it| it.rule.as_str()).collect();
            let looking = rules.iter().filter(|rule| payout.is_looked_at(rule)).map(|rule| rule.name.as_str());
            assert!(spoke.iter().filter(|name| !name.starts_with('(')).eq(looking.collect::<Vec<_>>().iter()));
            let people =
                |group: &str| GROUPS.iter().find(|(name, _)| *name == group).map(|(_, people)| people.to_vec());
            assert!(
                decision
                    .wanted
                    .iter()
                    .all(|it| Some(it.people.iter().map(String::as_str).collect()) == people(&it.group))
            );
            *verdicts.entry(decision.verdict.as_str()).or_default() += 1;
        }
    }
    // Random enough to say something of each.
    let enough = |verdict: &Verdict| verdicts.get(verdict.as_str()).is_some_and(|n| *n > cases() / 20);
    assert!([Verdict::Allowed, Verdict::NeedsApproval, Verdict::Blocked].iter().all(enough), "{verdicts:?}");
}
