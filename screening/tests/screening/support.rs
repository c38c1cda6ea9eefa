//! What the tests share.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::Request,
    response::{IntoResponse as _, Response},
};
use futures::future::BoxFuture;
use remit_screening::{Answer, FileList, List, ListVersion, Silent, Subject, Threshold};
use tokio::{net::TcpListener, task::JoinHandle};

pub const DENYLIST: &str = r#"version = "1"
[[entry]]
id = "mule-3"
kind = "account"
value = "acct-7"
reason = "case 18"
"#;

pub fn subject(addresses: &[&str], account_ids: &[&str], names: &[&str]) -> Subject {
    let texts = |of: &[&str]| of.iter().map(|text| (*text).to_owned()).collect();
    Subject { addresses: texts(addresses), account_ids: texts(account_ids), names: texts(names) }
}

pub fn threshold(score: u8) -> Threshold {
    Threshold::new(score).expect("a threshold")
}

/// A file list that looks at its file every time.
pub fn eager(list: FileList) -> FileList {
    list.look_every(Duration::ZERO)
}

/// Entry, listed text and score of each hit.
pub fn hits(answer: &Answer) -> Vec<(&str, &str, u8)> {
    answer.hits.iter().map(|hit| (hit.entry.as_str(), hit.listed.as_str(), hit.score)).collect()
}

pub fn fixture() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/sdn.xml")
}

/// A list that always gives the same answer.
pub struct Fixed(pub &'static str, pub Result<Answer, &'static str>);

impl List for Fixed {
    fn name(&self) -> &str {
        self.0
    }

    fn in_force(&self) -> BoxFuture<'_, Result<Vec<ListVersion>, Silent>> {
        let answer = self.1.clone().map(|answer| answer.lists);
        Box::pin(async move { answer.map_err(|why| self.silent(why)) })
    }

    fn screen<'a>(&'a self, _: &'a Subject) -> BoxFuture<'a, Result<Answer, Silent>> {
        Box::pin(async { self.1.clone().map_err(|why| self.silent(why)) })
    }
}

impl Fixed {
    fn silent(&self, why: &str) -> Silent {
        Silent { list: self.0.to_owned(), why: why.to_owned() }
    }
}

/// A server on a free port of this machine, which keeps the paths it was asked for. Stops when dropped.
pub struct Server {
    pub url: String,
    asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Server {
    pub async fn start(answer: impl Fn(&str) -> (u16, String) + Clone + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(vec![]));
        let log = asked.clone();
        let app = Router::new().fallback(move |request: Request| {
            let (path, answer) = (request.uri().to_string(), answer.clone());
            log.lock().expect("not poisoned").push(path.clone());
            async move {
                let (status, body) = answer(&path);
                if status == 0 {
                    // Never answers.
                    std::future::pending::<()>().await;
                }
                let status = axum::http::StatusCode::from_u16(status).expect("a status");
                (status, body).into_response() as Response
            }
        });
        let task = tokio::spawn(async move { axum::serve(listener, app).await.expect("a running server") });
        Self { url, asked, task }
    }

    /// The paths and queries it was asked for, sorted.
    pub fn asked(&self) -> Vec<String> {
        let mut asked = self.asked.lock().expect("not poisoned").clone();
        asked.sort();
        asked
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
