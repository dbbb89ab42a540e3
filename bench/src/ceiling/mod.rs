//! What Patron is measured against: the least that the work asks for, without what makes it a product.

pub(crate) mod commits;
pub(crate) mod exchange;
pub(crate) mod http;

use std::io::Write as _;

use axum::Router;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;

use crate::Result;

/// Serves on a free port of this machine, which it tells on stdout, until the process is ended.
async fn serve(router: Router) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    let listener = listener.tap_io(|stream| {
        // Patron does that too.
        let _ = stream.set_nodelay(true);
    });
    Ok(axum::serve(listener, router).await?)
}
