//! `remit payout start`.

use std::{io::Read, path::PathBuf};

use anyhow::Context;
use remit_client::{Claimed, How, Signer};
use remit_domain::{FieldError, PayoutRequest, Purpose, Refusal};
use serde_json::{Map, Value, json};

use super::{check, watch};
use crate::{
    exit::{Exit, Failure, Outcome},
    out,
    settings::Settings,
    signing::private_key,
    temporal::{Connected, options, start_failure},
};

/// Flags of `remit payout start`.
#[derive(Debug, Default, clap::Args)]
#[command(after_long_help = long_help())]
pub struct Args {
    /// Read the request from this file, or from standard input with `-`, as JSON
    #[arg(long, value_name = "FILE", conflicts_with_all = ["id", "wallet", "token", "mint", "mint_2022", "amount",
        "account", "instructions", "currency", "country", "purpose", "program", "provider"])]
    file: Option<PathBuf>,
    /// Your own id for this payout. The same id is the same payout, for ever
    #[arg(long)]
    id: Option<String>,
    /// The wallet that pays, `wa-…`
    #[arg(long)]
    wallet: Option<String>,
    /// The token that is paid with: contract address of an ERC-20
    #[arg(long, value_name = "CONTRACT", conflicts_with_all = ["mint", "mint_2022"])]
    token: Option<String>,
    /// The token that is paid with: mint address of a Solana token
    #[arg(long, conflicts_with = "mint_2022")]
    mint: Option<String>,
    /// The same for a token of Solana's Token-2022 program
    #[arg(long = "mint-2022", value_name = "MINT")]
    mint_2022: Option<String>,
    /// How much, in the token's smallest unit: 12500000 is 12.50 of a token with 6 decimals
    #[arg(long, value_name = "UNITS")]
    amount: Option<String>,
    /// The account holder, as the payout provider knows it
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// The bank account, as the payout provider knows it
    #[arg(long, value_name = "ID")]
    instructions: Option<String>,
    /// What the bank pays out, such as BRL
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
    /// Where the bank is, such as BR
    #[arg(long, value_name = "CODE")]
    country: Option<String>,
    /// Why the money is sent; one of those below
    #[arg(long)]
    purpose: Option<String>,
    /// What the payout belongs to in your books
    #[arg(long)]
    program: Option<String>,
    /// The payout provider [default: Borderless]
    #[arg(long)]
    provider: Option<String>,
    /// Sign the start as this starter of the policy
    #[arg(long, value_name = "NAME", env = "REMIT_STARTER", requires = "key")]
    starter: Option<String>,
    /// That starter's private key
    #[arg(long, value_name = "FILE", env = "REMIT_STARTER_KEY_FILE", requires = "starter")]
    key: Option<PathBuf>,
    /// Have a worker say how it would go, and start nothing; see `remit payout check`
    #[arg(long)]
    dry_run: bool,
    /// Print the request as the JSON that --file takes, and start nothing; asks nobody
    #[arg(long, conflicts_with = "dry_run")]
    print: bool,
    /// Follow the payout until it ends; the exit code says how: 0 paid, 3 not
    #[arg(long)]
    wait: bool,
    /// Answer in JSON: what was started, or with --wait how it ended
    #[arg(long)]
    json: bool,
}

fn long_help() -> String {
    let purposes: Vec<&str> = Purpose::ALL.iter().map(|purpose| purpose.as_str()).collect();
    let mut lines = vec![String::new()];
    for purpose in purposes {
        let line = lines.last_mut().filter(|line| line.len() + purpose.len() < 88);
        match line {
            Some(line) if line.is_empty() => *line = format!("  {purpose}"),
            Some(line) => *line += &format!(", {purpose}"),
            None => lines.push(format!("  {purpose}")),
        }
    }
    format!(
        "Purposes:\n{}\n\nExamples:
  remit payout start --id invoice-2026-0001 --wallet wa-5pfuu-9euek-h0odgb6snva8ph3k \\
    --token 0x3c499c542cef5e3811e1192ce70d8cc03d5c3359 --amount 1000000000 \\
    --account acc-1 --instructions pi-1 --currency BRL --country BR --purpose \"salary payment\"
  remit payout start --file payout.json --wait
  remit payout start --dry-run …                how it would go: policy, quote, wallet, token
  remit payout start --print …                  what would be started, as the JSON that --file takes
  remit payout start --file payout.json --starter erp --key erp.pem      signed, where the policy wants it

Exit codes: 0 started (or started before: safe to repeat) · 2 the request is not accepted, each field on its line ·
5 the id belongs to another request, nothing was started · 1 anything else. With --wait: 0 paid · 3 ended otherwise.
With --dry-run: as `remit payout check`.",
        lines.join(",\n")
    )
}

/// Fields of the request and the flags they come from.
const FLAGS: [(&str, &str); 11] = [
    ("externalId", "--id"),
    ("walletId", "--wallet"),
    ("asset", "--token, --mint or --mint-2022"),
    ("asset.contract", "--token"),
    ("asset.mint", "--mint or --mint-2022"),
    ("amount", "--amount"),
    ("destination.accountId", "--account"),
    ("destination.instructionsId", "--instructions"),
    ("destination.currency", "--currency"),
    ("destination.country", "--country"),
    ("destination.purpose", "--purpose"),
];

impl Args {
    /// The request that the flags describe. What is missing is missing, and refused by name later.
    fn request(&self) -> Value {
        let object = |fields: &[(&str, &Option<String>)]| -> Map<String, Value> {
            let given = fields.iter().filter_map(|(name, value)| Some(((*name).to_owned(), json!(value.as_ref()?))));
            given.collect()
        };
        let mut request = object(&[
            ("externalId", &self.id),
            ("walletId", &self.wallet),
            ("amount", &self.amount),
            ("program", &self.program),
        ]);
        let asset = match (&self.token, &self.mint, &self.mint_2022) {
            (Some(contract), _, _) => Some(json!({"kind": "Erc20", "contract": contract})),
            (_, Some(mint), _) => Some(json!({"kind": "Spl", "mint": mint})),
            (_, _, Some(mint)) => Some(json!({"kind": "Spl2022", "mint": mint})),
            (None, None, None) => None,
        };
        request.extend(asset.map(|asset| ("asset".to_owned(), asset)));
        let mut destination = object(&[
            ("accountId", &self.account),
            ("instructionsId", &self.instructions),
            ("currency", &self.currency),
            ("country", &self.country),
            ("purpose", &self.purpose),
        ]);
        destination.insert("kind".to_owned(), json!("Bank"));
        destination.insert("provider".to_owned(), json!(self.provider.as_deref().unwrap_or("Borderless")));
        request.insert("destination".to_owned(), Value::Object(destination));
        Value::Object(request)
    }

    fn read(&self) -> anyhow::Result<Value> {
        let Some(file) = &self.file else { return Ok(self.request()) };
        let mut text = String::new();
        if file.as_os_str() == "-" {
            std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        } else {
            text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        }
        serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))
    }

    /// One field error on its line, with the flag it is about.
    fn explain(&self, error: &FieldError) -> String {
        let flag = FLAGS.iter().find(|(field, _)| self.file.is_none() && *field == error.field);
        flag.map_or_else(|| error.to_string(), |(_, flag)| format!("{flag}: {error}"))
    }
}

/// Starts the payout.
///
/// # Errors
/// Exit codes as the help says.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    let json = args.read().map_err(|error| Failure { exit: Exit::Usage, error })?;
    let request = PayoutRequest::parse(&json).map_err(|Refusal(errors)| {
        let lines: Vec<String> = errors.iter().map(|error| args.explain(error)).collect();
        Failure::new(Exit::Usage, format!("the request is not accepted:\n  {}", lines.join("\n  ")))
    })?;
    let signer = match (&args.starter, &args.key) {
        (Some(name), Some(key)) => Some(Signer { name: name.clone(), key: private_key(key)? }),
        (None, _) | (_, None) => None,
    };
    let sign = |namespace: &str, request| match &signer {
        Some(signer) => signer.start(namespace, &request),
        None => request,
    };
    if args.dry_run {
        let connected = Connected::for_a_person(settings).await?;
        return check::tell(&connected.client.check(&request).await.map_err(check::failure)?, args.json);
    }
    if args.print {
        let target = options(settings)?.resolve().map_err(Failure::usage)?;
        let request = sign(&target.namespace, request);
        out::note(format_args!(
            "payout {}, workflow {}, digest {}: {}",
            request.key(),
            request.key().workflow_id(),
            request.digest(),
            request.summary()
        ));
        out::json(&request)?;
        return Ok(Exit::Done);
    }
    let connected = Connected::for_a_person(settings).await?;
    let request = sign(connected.client.namespace(), request);
    let started = connected.client.start(&request).await.map_err(start_failure)?;
    if args.json && args.wait {
        return watch::follow(&connected, started.key.as_str(), watch::Form::Json).await;
    }
    let link = connected.ui_link(&started.workflow_id, &started.run_id);
    let how = match started.how {
        How::New => "new",
        How::Existing => "existing",
    };
    if args.json {
        out::json(&json!({"key": started.key, "externalId": request.external_id, "workflowId": started.workflow_id,
            "runId": started.run_id, "how": how, "link": link}))?;
        return Ok(Exit::Done);
    }
    match started.how {
        How::New => out::line(format_args!("started payout {}", started.key))?,
        How::Existing => out::line(format_args!("payout {} was started before, with the same content", started.key))?,
    }
    if started.claimed == Claimed::NotYet {
        out::note("no worker has taken it up yet");
    }
    if let Some(link) = link {
        out::line(link)?;
    }
    if args.wait { watch::follow(&connected, started.key.as_str(), watch::Form::Lines).await } else { Ok(Exit::Done) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args() -> Args {
        let text = |text: &str| Some(text.to_owned());
        Args {
            id: text("invoice-1"),
            wallet: text("wa-5pfuu-9euek-h0odgb6snva8ph3k"),
            token: text("0x3c499c542cef5e3811e1192ce70d8cc03d5c3359"),
            amount: text("1000000000"),
            account: text("acc-1"),
            instructions: text("pi-1"),
            currency: text("BRL"),
            country: text("BR"),
            purpose: text("salary payment"),
            program: text("payroll"),
            ..Args::default()
        }
    }

    #[test]
    fn flags_make_the_request_that_the_same_json_makes() {
        let json = json!({
            "externalId": "invoice-1", "walletId": "wa-5pfuu-9euek-h0odgb6snva8ph3k", "amount": "1000000000",
            "asset": {"kind": "Erc20", "contract": "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359"},
            "destination": {"kind": "Bank", "provider": "Borderless", "accountId": "acc-1", "instructionsId": "pi-1",
                            "currency": "BRL", "country": "BR", "purpose": "salary payment"},
            "program": "payroll",
        });
        assert_eq!(args().request(), json);
        PayoutRequest::parse(&args().request()).expect("a good request");
    }

    #[test]
    fn a_mint_makes_a_solana_token() {
        let mint = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v";
        let spl = Args { token: None, mint: Some(mint.into()), ..args() };
        assert_eq!(spl.request()["asset"], json!({"kind": "Spl", "mint": mint}));
        let spl = Args { token: None, mint_2022: Some(mint.into()), ..args() };
        assert_eq!(spl.request()["asset"], json!({"kind": "Spl2022", "mint": mint}));
    }

    #[test]
    fn what_is_missing_is_said_with_its_flag() {
        let args = Args { amount: None, purpose: None, token: None, ..args() };
        let Refusal(errors) = PayoutRequest::parse(&args.request()).expect_err("incomplete");
        let said: Vec<String> = errors.iter().map(|error| args.explain(error)).collect();
        assert_eq!(said.len(), 3, "{said:?}");
        for flag in ["--amount: amount: nothing", "--purpose: ", "--token, --mint or --mint-2022: asset"] {
            assert!(said.iter().any(|line| line.starts_with(flag)), "{flag} is not in {said:?}");
        }
    }

    #[test]
    fn every_required_field_has_its_flag() {
        let Refusal(errors) = PayoutRequest::parse(&Args::default().request()).expect_err("nothing is given");
        for error in errors {
            assert!(FLAGS.iter().any(|(field, _)| *field == error.field), "{} has no flag", error.field);
        }
    }

    #[test]
    fn the_help_lists_every_purpose() {
        let help = long_help();
        for purpose in Purpose::ALL {
            assert!(help.contains(purpose.as_str()), "{}", purpose.as_str());
        }
    }
}
