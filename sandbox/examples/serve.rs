//! The sandbox alone: `cargo run -p remit-sandbox --example serve -- 127.0.0.1:4100`.

use remit_sandbox::Options;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:4100".to_owned());
    let listener = tokio::net::TcpListener::bind(&address).await?;
    println!("A fake Dfns at http://{}, Ctrl-C stops it", listener.local_addr()?);
    let stop = CancellationToken::new();
    let serving = remit_sandbox::serve(listener, Options::default(), stop.clone());
    tokio::select! {
        result = serving => result,
        result = tokio::signal::ctrl_c() => result,
    }
}
