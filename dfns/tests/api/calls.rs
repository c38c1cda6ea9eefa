//! Every endpoint: where the call goes, what it sends, and how the documented answer is read.

use axum::response::Response;
use remit_dfns::{
    Action, ActionKind, ActivityKind, ApprovalGroup, ApprovalStatus, Approvers, AssetKind, CallFunction, CreatePayout,
    CreateTransfer, DecisionValue, Delivery, Direction, EventKind, ExecutionStatus, FeeKind, ListApprovals, ListEvents,
    ListHistory, ListPayouts, ListPolicies, PageQuery, PaymentPurpose, PayoutAsset, PayoutStatus, PolicyBody,
    PolicyStatus, Provider, QuoteRequest, Rule, RuleKind, TransferStatus, UserList, WalletStatus,
};

use crate::harness::{Seen, Server, answering, json, last, line, read, signed, with_headers};

const PAYOUT: &str = r#"{"id":"pyt-1","walletId":"wa-1","fiatCurrency":"BRL","provider":"Borderless","status":"Processing",
  "asset":{"kind":"Erc20","amount":"1000000000","contract":"0xc","network":"Polygon","metadata":{"symbol":"USDC","decimals":6}},
  "dateCreated":"2026-09-01T09:59:40.000Z","externalId":"po-1","aNewField":[{}],
  "data":{"executionStatus":"Initializing","country":"BR","paymentPurpose":"salary payment","another":1}}"#;

const TRANSFER: &str = r#"{"id":"xfr-1","walletId":"wa-1","network":"SomeNewNet","status":"Pending","approvalId":"ap-1",
  "requestBody":{"kind":"Erc20","to":"0xb","amount":"5","contract":"0xc","externalId":"e-1"},
  "metadata":{"asset":{"symbol":"USDC","decimals":6,"quotes":{"USD":0.99990000000000000001}}},"fee":"21000","dateRequested":"2026-09-01T10:00:00.000Z"}"#;

const APPROVAL: &str = r#"{"id":"ap-1","status":"Pending","activity":{"kind":"Wallets:Sign"},
  "decisions":[{"userId":"us-1","date":"2026-09-01T10:00:00.000Z","reason":null,"value":"Approved"}],"dateUpdated":"2026-09-01T10:00:00.000Z"}"#;

const POLICY: &str = r#"{"id":"plc-1","name":"cap","status":"Active","activityKind":"Wallets:Sign",
  "rule":{"kind":"TransactionAmountLimit","configuration":{"limit":10000.10,"currency":"USD"}},
  "action":{"kind":"RequestApproval","autoRejectTimeout":null,"approvalGroups":[{"quorum":1,"approvers":{}}]}}"#;

fn erc20() -> PayoutAsset {
    PayoutAsset::Erc20 { amount: "1000000000".into(), contract: "0xc".into() }
}

#[tokio::test]
async fn a_quote_is_asked_for_unsigned_and_its_figures_are_exact() {
    let server = answering(
        r#"{"provider":"Borderless","timestamp":"2025-03-01T12:00:00.000Z",
        "asset":{"kind":"Erc20","amount":"1000000000","contract":"0xc","network":"Polygon","metadata":{"decimals":6,"verified":true}},
        "quotes":[{"offer":{"fiatCurrency":"USD","amount":985.50,"fees":14.5}},
                  {"quoteId":"q","offer":{"fiatCurrency":"USD","amount":1e2,"fees":0.1}}]}"#,
    )
    .await;
    let request = QuoteRequest {
        wallet_id: "wa-1".into(),
        asset: erc20(),
        fiat_currency: "USD".into(),
        provider: Provider::Borderless,
        country: "US".into(),
    };
    let quote = server.client().quote(&request).await.expect("a quote");
    assert_eq!(server.lines(), ["POST /payouts/quote"]);
    assert_eq!(
        last(&server).text(),
        r#"{"walletId":"wa-1","asset":{"kind":"Erc20","amount":"1000000000","contract":"0xc"},"fiatCurrency":"USD","provider":"Borderless","country":"US"}"#
    );
    let figures: Vec<_> = quote.quotes.iter().map(|q| (q.offer.amount.to_string(), q.offer.fees.to_string())).collect();
    assert_eq!(figures, [("985.50".into(), "14.5".into()), ("100".into(), "0.1".to_string())]);
    assert_eq!(quote.quotes[1].quote_id.as_deref(), Some("q"));

    let none = answering(r#"{"provider":"New","asset":{"kind":"Spl","amount":"1","mint":"m"},"quotes":[]}"#).await;
    let quote = none.client().quote(&request).await.expect("a quote without offers");
    assert!(quote.quotes.is_empty() && quote.provider == Provider::Unknown("New".into()));
}

#[tokio::test]
async fn a_payout_is_created_from_its_bytes() {
    let server = answering(PAYOUT).await;
    let create = CreatePayout {
        wallet_id: "wa-1".into(),
        asset: PayoutAsset::Spl2022 { amount: "5".into(), mint: "m".into() },
        fiat_currency: "BRL".into(),
        provider: Provider::Borderless,
        country: "BR".into(),
        borderless_account_id: "acc".into(),
        payment_instructions_id: "pi".into(),
        payment_purpose: PaymentPurpose::SalaryPayment,
        external_id: Some("po-1".into()),
    };
    let bytes = create.to_bytes();
    let payout = server.client().create_payout(bytes.clone()).await.expect("created");
    assert_eq!(line(&server), signed("POST /payouts"));
    assert_eq!(last(&server).body, bytes);
    assert_eq!(
        last(&server).text(),
        r#"{"walletId":"wa-1","asset":{"kind":"Spl2022","amount":"5","mint":"m"},"fiatCurrency":"BRL","provider":"Borderless","country":"BR","borderlessAccountId":"acc","paymentInstructionsId":"pi","paymentPurpose":"salary payment","externalId":"po-1"}"#
    );
    assert_eq!(serde_json::from_slice::<CreatePayout>(&bytes).expect("reads back"), create);
    let without = CreatePayout { external_id: None, ..create };
    assert!(!String::from_utf8_lossy(&without.to_bytes()).contains("externalId"));

    assert_eq!((payout.id.as_str(), &payout.status), ("pyt-1", &PayoutStatus::Processing));
    assert_eq!(payout.requester, None, "the requester may be missing");
    assert_eq!(payout.data.execution_status, Some(ExecutionStatus::Initializing));
    assert_eq!(payout.asset.kind, AssetKind::Erc20);
}

#[tokio::test]
async fn a_payout_is_read_with_the_providers_clock_and_budget() {
    let answer = |_: &Seen| -> Response {
        with_headers(200, &[("date", "Tue, 01 Sep 2026 10:00:00 GMT"), ("x-ratelimit-remaining", "7")], PAYOUT)
    };
    let server = Server::start(answer).await;
    let answer = server.client().payout("pyt-1").await.expect("a payout");
    assert_eq!(line(&server), read("GET /payouts/pyt-1"));
    assert_eq!(last(&server).header("authorization"), Some("Bearer tok"));
    assert_eq!(answer.date, Some("2026-09-01T10:00:00Z".parse().expect("a date")));
    assert_eq!(answer.rate.remaining, Some(7));
    assert_eq!(answer.value.date_created, Some("2026-09-01T09:59:40Z".parse().expect("a date")));
}

#[tokio::test]
async fn a_payout_of_a_provider_we_do_not_know_is_read() {
    let server = answering(
        r#"{"id":"pyt-2","walletId":"wa-1","fiatCurrency":"EUR","provider":"CircleMint","status":"Paused","dateCreated":"odd",
            "asset":{"kind":"Xls99","amount":"1"},"data":{"executionStatus":"Thinking","whatever":{"a":1}}}"#,
    )
    .await;
    let payout = server.client().payout("pyt-2").await.expect("a payout").value;
    assert_eq!(payout.provider, Provider::CircleMint);
    assert_eq!(payout.status, PayoutStatus::Unknown("Paused".into()));
    assert_eq!(payout.data.execution_status, Some(ExecutionStatus::Unknown("Thinking".into())));
    assert_eq!((payout.date_created, payout.asset.kind.as_str()), (None, "Xls99"));
    let server = answering(r#"{"id":"p","walletId":"w","fiatCurrency":"EUR","provider":"X","status":"Y","asset":{"kind":"Z","amount":"1"}}"#).await;
    assert_eq!(server.client().payout("p").await.expect("no data at all").value.data, Default::default());
}

#[tokio::test]
async fn lists_send_their_filters_encoded_and_statuses_repeated() {
    let server = answering(r#"{"items":[],"nextPageToken":"t2"}"#).await;
    let client = server.client();
    let query = ListPayouts {
        limit: Some(50),
        pagination_token: Some("a&b=c".into()),
        wallet_id: Some("wa-1".into()),
        status: vec![PayoutStatus::Processing, PayoutStatus::Failed],
        provider: Some(Provider::Borderless),
    };
    let page = client.list_payouts(&query).await.expect("a page");
    assert_eq!((page.items.len(), page.next_page_token.as_deref()), (0, Some("t2")));
    assert_eq!(
        line(&server),
        read(
            "GET /payouts?limit=50&paginationToken=a%26b%3Dc&walletId=wa-1&status=Processing&status=Failed&provider=Borderless"
        )
    );
    client.list_payouts(&ListPayouts::default()).await.expect("a page");
    assert_eq!(line(&server), read("GET /payouts"));
    let page = PageQuery { limit: Some(2), pagination_token: Some("t".into()) };
    client.policies(&ListPolicies { page: page.clone(), status: Some(PolicyStatus::Active) }).await.expect("a page");
    assert_eq!(line(&server), read("GET /v2/policies?limit=2&paginationToken=t&status=Active"));
    let pending = ListApprovals {
        status: Some(ApprovalStatus::Pending),
        initiator_id: Some("us-1".into()),
        approver_id: Some("us-2".into()),
        ..ListApprovals::default()
    };
    client.approvals(&pending).await.expect("a page");
    assert_eq!(line(&server), read("GET /v2/policy-approvals?status=Pending&initiatorId=us-1&approverId=us-2"));
    client
        .wallet_history(
            "wa-1",
            &ListHistory {
                direction: Some(Direction::Out),
                kind: Some("Erc20Transfer".into()),
                contract: Some("0xc".into()),
                page,
            },
        )
        .await
        .expect("a page");
    assert_eq!(
        line(&server),
        read("GET /wallets/wa-1/history?limit=2&paginationToken=t&direction=Out&kind=Erc20Transfer&contract=0xc")
    );
    client
        .webhook_events(
            "wh-1",
            &ListEvents {
                kind: Some(EventKind::PayoutActionRequired),
                delivery: Some(Delivery::Failed),
                ..ListEvents::default()
            },
        )
        .await
        .expect("a page");
    assert_eq!(line(&server), read("GET /webhooks/wh-1/events?kind=payout.action.required&deliveryFailed=true"));
}

#[tokio::test]
async fn wallets_and_what_they_hold_are_read() {
    let wallet = r#"{"id":"wa-1","network":"Polygon","address":"0xa","status":"Active","custodial":true,"tags":["hot"],
        "signingKey":{"id":"key-1","scheme":"ECDSA","curve":"secp256k1","publicKey":"02"},"dateCreated":"2026-01-01T00:00:00.000Z"}"#;
    let server = answering(wallet).await;
    let seen = server.client().wallet("wa-1").await.expect("a wallet");
    assert_eq!(line(&server), read("GET /wallets/wa-1"));
    assert_eq!((seen.status, seen.tags), (WalletStatus::Active, vec!["hot".to_owned()]));

    let page = Server::start(move |_| json(200, &format!(r#"{{"items":[{wallet}]}}"#))).await;
    assert_eq!(page.client().wallets(&PageQuery::default()).await.expect("a page").items.len(), 1);

    let server = answering(
        r#"{"walletId":"wa-1","network":"Polygon","netWorth":{"USD":1234.56},"assets":[
            {"kind":"Native","decimals":18,"balance":"1000000000000000000000","symbol":"POL"},
            {"kind":"Erc20","contract":"0xc","decimals":6,"balance":"5","verified":true,"quotes":{"USD":1.0001,"EUR":null}}]}"#,
    )
    .await;
    let assets = server.client().wallet_assets("wa-1").await.expect("assets");
    assert_eq!(line(&server), read("GET /wallets/wa-1/assets?netWorth=true"));
    assert_eq!(assets.assets[0].balance, "1000000000000000000000");
    assert_eq!(assets.assets[1].quotes["USD"].to_string(), "1.0001");
    assert_eq!(assets.net_worth.expect("a worth").by_currency["USD"].to_string(), "1234.56");

    let server = answering(
        r#"{"items":[{"walletId":"wa-1","direction":"Out","network":"Polygon","kind":"Erc20Transfer","txHash":"0xh","index":"3",
            "blockNumber":71000000,"timestamp":"2026-09-01T10:00:00.000Z","value":"5","fee":"21000","metadata":{"asset":{}}}]}"#,
    )
    .await;
    let history = server.client().wallet_history("wa-1", &ListHistory::default()).await.expect("history");
    let item = &history.items[0];
    assert_eq!(
        (item.tx_hash.as_str(), item.index.as_deref(), item.block_number.as_deref()),
        ("0xh", Some("3"), Some("71000000"))
    );
}

#[tokio::test]
async fn fees_and_contract_calls_need_no_signature() {
    let server = answering(
        r#"{"kind":"Eip1559","network":"Polygon","blockNumber":71000000,"baseFeePerGas":"30000000000",
            "slow":{"maxFeePerGas":"1","maxPriorityFeePerGas":"2"},"standard":{"maxFeePerGas":"3","maxPriorityFeePerGas":"4"},"fast":{}}"#,
    )
    .await;
    let fees = server.client().network_fees("Polygon").await.expect("fees");
    assert_eq!(line(&server), read("GET /networks/fees?network=Polygon"));
    assert_eq!((fees.kind, fees.standard.max_fee_per_gas.as_deref()), (FeeKind::Eip1559, Some("3")));
    assert_eq!(fees.block_number.as_deref(), Some("71000000"));

    let server = answering(r#"{"anything":"0x01"}"#).await;
    let call = CallFunction { contract: "0xc".into(), abi: serde_json::json!({"name":"paused"}), calldata: None };
    let answer = server.client().call_function("Polygon", &call).await.expect("an answer");
    assert_eq!(line(&server), read("POST /networks/Polygon/call-function"));
    assert_eq!(last(&server).text(), r#"{"contract":"0xc","abi":{"name":"paused"}}"#);
    assert_eq!(answer["anything"], "0x01");
}

#[tokio::test]
async fn a_transfer_held_by_a_policy_is_an_answer() {
    let server = Server::signing(|_| json(202, TRANSFER)).await;
    let client = server.client();
    let body = CreateTransfer::Erc20 {
        contract: "0xc".into(),
        to: "0xb".into(),
        amount: "5".into(),
        priority: None,
        fee_sponsor_id: Some("fs-1".into()),
        external_id: Some("e-1".into()),
    };
    let transfer = client.create_transfer("wa-1", body.to_bytes()).await.expect("202 is no error");
    assert_eq!(line(&server), signed("POST /wallets/wa-1/transfers"));
    assert_eq!(
        last(&server).text(),
        r#"{"kind":"Erc20","contract":"0xc","to":"0xb","amount":"5","feeSponsorId":"fs-1","externalId":"e-1"}"#
    );
    assert_eq!((&transfer.status, transfer.approval_id.as_deref()), (&TransferStatus::Pending, Some("ap-1")));
    assert_eq!(transfer.network, "SomeNewNet");
    assert_eq!(transfer.metadata.asset.quotes["USD"].to_string(), "0.99990000000000000001");
    client.transfer("wa-1", "xfr-1").await.expect("a transfer");
    assert_eq!(line(&server), read("GET /wallets/wa-1/transfers/xfr-1"));

    let server = Server::start(|_| json(200, &format!(r#"{{"walletId":"wa-1","items":[{TRANSFER}]}}"#))).await;
    let page = server.client().transfers("wa-1", &PageQuery::default()).await.expect("a page");
    assert_eq!(page.items[0], transfer);
    assert_eq!(line(&server), read("GET /wallets/wa-1/transfers"));
}

#[tokio::test]
async fn policies_are_written_and_read_without_rounding_a_limit() {
    let server = answering(POLICY).await;
    let client = server.client();
    let group = ApprovalGroup {
        name: None,
        quorum: 2,
        approvers: Approvers { user_id: Some(UserList { any_of: vec!["us-1".into(), "us-2".into()] }) },
        initiator_can_approve: Some(false),
        service_accounts_can_approve: None,
    };
    let body = PolicyBody {
        name: "cap".into(),
        activity_kind: ActivityKind::WalletsSign,
        rule: Rule::amount_limit("10000.10".parse().expect("a decimal")),
        action: Action::request_approval(vec![group], Some(120)),
        filters: None,
    };
    let policy = client.create_policy(&body).await.expect("made");
    assert_eq!(line(&server), signed("POST /v2/policies"));
    assert_eq!(
        last(&server).text(),
        r#"{"name":"cap","activityKind":"Wallets:Sign","rule":{"kind":"TransactionAmountLimit","configuration":{"limit":10000.10,"currency":"USD"}},"action":{"kind":"RequestApproval","approvalGroups":[{"quorum":2,"approvers":{"userId":{"in":["us-1","us-2"]}},"initiatorCanApprove":false}],"autoRejectTimeout":120}}"#
    );
    assert_eq!((policy.rule.kind, policy.action.kind), (RuleKind::TransactionAmountLimit, ActionKind::RequestApproval));
    assert_eq!(policy.rule.configuration.expect("figures").get(), r#"{"limit":10000.10,"currency":"USD"}"#);
    client
        .update_policy("plc-1", &PolicyBody { rule: Rule::always(), action: Action::block(), ..body })
        .await
        .expect("replaced");
    assert_eq!(line(&server), signed("PUT /v2/policies/plc-1"));
    assert_eq!(
        last(&server).text(),
        r#"{"name":"cap","activityKind":"Wallets:Sign","rule":{"kind":"AlwaysTrigger"},"action":{"kind":"Block"}}"#
    );
    client.policy("plc-1").await.expect("a policy");
    assert_eq!(line(&server), read("GET /v2/policies/plc-1"));
    client.delete_policy("plc-1").await.expect("archived");
    assert_eq!(line(&server), signed("DELETE /v2/policies/plc-1"));

    let velocity = Rule::amount_velocity(100_000.into(), 1440).configuration.expect("figures");
    assert_eq!(velocity.get(), r#"{"limit":100000,"currency":"USD","timeframe":1440}"#);
    let count = Rule::count_velocity(1000, 60).configuration.expect("figures");
    assert_eq!(count.get(), r#"{"limit":1000,"timeframe":60}"#);
    let whitelist = Rule::recipient_whitelist(&["0xa".into()]).configuration.expect("figures");
    assert_eq!(whitelist.get(), r#"{"addresses":["0xa"]}"#);
}

#[tokio::test]
async fn an_approval_is_decided_with_a_reason() {
    let server = answering(APPROVAL).await;
    let client = server.client();
    let approval = client.decide_approval("ap-1", DecisionValue::Denied, Some("too much")).await.expect("voted");
    assert_eq!(line(&server), signed("POST /v2/policy-approvals/ap-1/decisions"));
    assert_eq!(last(&server).text(), r#"{"value":"Denied","reason":"too much"}"#);
    assert_eq!(
        (approval.decisions[0].reason.as_deref(), &approval.decisions[0].value),
        (None, &DecisionValue::Approved)
    );
    client.decide_approval("ap-1", DecisionValue::Approved, None).await.expect("voted");
    assert_eq!(last(&server).text(), r#"{"value":"Approved"}"#);
    client.approval("ap-1").await.expect("an approval");
    assert_eq!(line(&server), read("GET /v2/policy-approvals/ap-1"));
}
