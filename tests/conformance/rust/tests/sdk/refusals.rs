//! What a caller sees when a call is refused: tokens, permissions, unknown objects.

use crate::organisation::{Organisation, User, dfns_as, refusal};
use crate::payouts::{a_payout, text};

#[tokio::test]
async fn an_unknown_token_is_refused() {
    let organisation = Organisation::create().await;
    let stranger = User { token: "not-a-token".to_owned(), ..organisation.user("payer").clone() };
    let (status, error) = refusal(dfns_as(&stranger).payouts.list_payouts(None).await);
    assert_eq!(status, 401);
    assert!(error["id"].is_string() && error["message"].is_string(), "{error}");
}

#[tokio::test]
async fn a_user_without_the_permission_is_told_which_one_is_missing() {
    let organisation = Organisation::create().await;
    let reader = organisation.dfns("reader");
    let (status, error) = refusal(reader.payouts.create_payout(a_payout(&organisation)).await);
    assert_eq!(status, 403);
    let message = text(&error["message"]);
    assert!(message.contains("is not authorized to perform operation (Payouts:Create)"), "{message}");
}

#[tokio::test]
async fn an_unknown_payout_is_not_found() {
    let organisation = Organisation::create().await;
    let id = "pyt-00000-00000-0000000000000000".to_owned();
    let (status, _) = refusal(organisation.dfns("payer").payouts.get_payout(id).await);
    assert_eq!(status, 404);
}
