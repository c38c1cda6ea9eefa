//! From what people have in hand, the caller's id or the payout's key, to the workflow that runs the payout.

use remit_domain::{Attempt, ExternalId, PayoutKey};

use crate::ReadError;

/// The workflows an id may mean, the likeliest first: that of the caller's id, then, when the id has the form of a
/// derived key (`h-…`, `…-retry-N`), that of the key itself.
pub(crate) fn workflows_of(id: &str) -> Result<Vec<String>, ReadError> {
    let external = ExternalId::parse(id).map_err(|_| ReadError::BadId { id: id.chars().take(80).collect() })?;
    let key = PayoutKey::of(&external);
    let mut all = vec![key.workflow_id()];
    if key.as_str() != id && is_derived(id) {
        all.push(format!("payout-{id}"));
    }
    Ok(all)
}

/// The workflow of the attempt after this one, if there may be one.
pub(crate) fn attempt_after(workflow_id: &str) -> Option<String> {
    let number = |text: &str| text.parse::<u32>().ok().filter(|_| text.len() <= 2);
    // The prefix ends in a dash itself: the key of the id "retry-1" is no attempt.
    let key = workflow_id.strip_prefix("payout-")?;
    match key.rsplit_once("-retry-").and_then(|(base, n)| Some((base, number(n)?))) {
        Some((base, n)) if n + 1 < Attempt::MOST => Some(format!("payout-{base}-retry-{}", n + 1)),
        Some(_) => None,
        None => Some(format!("payout-{key}-retry-1")),
    }
}

fn is_derived(id: &str) -> bool {
    let (base, attempt) = match id.rsplit_once("-retry-") {
        Some((base, attempt)) => (base, Some(attempt)),
        None => (id, None),
    };
    let hash = base
        .strip_prefix("h-")
        .is_some_and(|hex| hex.len() == 32 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
    let plain = (1..=40).contains(&base.len())
        && base.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        && !base.starts_with("h-");
    match attempt {
        Some(n) => (hash || plain) && matches!(n.len(), 1 | 2) && n.bytes().all(|b| b.is_ascii_digit()),
        None => hash,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_id_means_the_workflow_of_its_key() {
        assert_eq!(workflows_of("invoice-1").expect("an id"), ["payout-invoice-1"]);
        let long = workflows_of(&"x".repeat(200)).expect("an id");
        assert!(long.len() == 1 && long[0].starts_with("payout-h-"), "{long:?}");
    }

    #[test]
    fn a_key_is_understood_as_one_after_being_tried_as_an_id() {
        let hash = format!("h-{}", "0123456789abcdef".repeat(2));
        for key in [hash.as_str(), "invoice-1-retry-2", &format!("{hash}-retry-99")] {
            let all = workflows_of(key).expect("an id");
            assert_eq!(all.len(), 2, "{key}");
            assert!(all[0].starts_with("payout-h-") && all[0] != all[1], "{all:?}");
            assert_eq!(all[1], format!("payout-{key}"));
        }
    }

    #[test]
    fn attempts_follow_each_other_up_to_the_hundredth() {
        assert_eq!(attempt_after("payout-a").as_deref(), Some("payout-a-retry-1"));
        assert_eq!(attempt_after("payout-a-retry-9").as_deref(), Some("payout-a-retry-10"));
        assert_eq!(attempt_after("payout-a-retry-99"), None);
        assert_eq!(attempt_after("payout-retry-1").as_deref(), Some("payout-retry-1-retry-1"));
        // No attempt of ours: an id that only contains the word.
        assert_eq!(attempt_after("payout-my-retry-list").as_deref(), Some("payout-my-retry-list-retry-1"));
    }

    #[test]
    fn what_no_key_looks_like_is_only_an_id() {
        for id in ["h-12", "h-0123456789ABCDEF0123456789abcdef", "a b-retry-1", "a-retry-100", "-retry-1", "é"] {
            assert_eq!(workflows_of(id).expect("an id").len(), 1, "{id}");
        }
    }

    #[test]
    fn what_cannot_be_an_id_is_refused() {
        for id in [String::new(), "x".repeat(256)] {
            let error = workflows_of(&id).expect_err("no id");
            assert!(matches!(error, ReadError::BadId { .. }) && error.to_string().len() < 200, "{error}");
        }
    }
}
