//! Links into Temporal's Web UI.

use temporalio_client::Url;

/// Where a run can be looked at. None when `ui_base` (for example `http://127.0.0.1:8233`) is no web address.
pub fn ui_link(ui_base: &str, namespace: &str, workflow_id: &str, run_id: &str) -> Option<String> {
    let mut url = Url::parse(ui_base).ok()?;
    url.path_segments_mut().ok()?.pop_if_empty().extend([
        "namespaces",
        namespace,
        "workflows",
        workflow_id,
        run_id,
        "history",
    ]);
    Some(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_to_the_history_of_the_run() {
        assert_eq!(
            ui_link("http://127.0.0.1:8233", "default", "payout-a.b_c-1", "0198-run").as_deref(),
            Some("http://127.0.0.1:8233/namespaces/default/workflows/payout-a.b_c-1/0198-run/history")
        );
        assert_eq!(
            ui_link("https://temporal.internal/ui/", "pay/outs", "payout-1", "r").as_deref(),
            Some("https://temporal.internal/ui/namespaces/pay%2Fouts/workflows/payout-1/r/history")
        );
        assert_eq!(ui_link("mailto:a@example.com", "n", "w", "r"), None);
        assert_eq!(ui_link("", "n", "w", "r"), None);
    }
}
