//! Several servers, one of which takes writes: which one is found when a connection is made.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_postgres::Connect;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::config::Host;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, Error, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

/// What a server may take, beside accepting the connection, to say that it can be used.
const GREETING: Duration = Duration::from_secs(1);

type Stream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

/// The servers of a URL. A clone is the same.
///
/// The driver would try them one after the other as well, but wait without end for one that accepts a connection and
/// then says nothing: a primary that hangs, while its standby has long been promoted.
#[derive(Clone)]
pub(super) struct Servers {
    each: Arc<[Config]>,
    tls: MakeRustlsConnect,
    /// The one that was found last, to be asked first: one that hangs costs time once, and one that was left behind
    /// and comes back is not asked before the one that took over.
    found: Arc<AtomicUsize>,
}

impl Servers {
    pub(super) fn of(config: &Config, tls: MakeRustlsConnect) -> Self {
        let each = (0..config.get_hosts().len()).map(|at| only(config, at)).collect();
        Self { each, tls, found: Arc::default() }
    }

    /// Has another one asked first from now on. One that only reads refuses at once, and the search comes back to this.
    pub(super) fn try_another(&self) {
        let another = |found: usize| Some((found + 1) % self.each.len().max(1));
        let _ = self.found.fetch_update(Ordering::Relaxed, Ordering::Relaxed, another);
    }

    /// What connections are encrypted with.
    pub(super) fn tls(&self) -> MakeRustlsConnect {
        self.tls.clone()
    }

    /// A connection to one that can be written to. While some server says nothing this does not end, for it may be the
    /// one: whoever calls it does so for as long as it likes.
    pub(super) async fn connect(&self) -> Result<(Client, Connection<Socket, Stream>), Error> {
        loop {
            let (mut hangs, mut failed) = (false, None);
            let first = self.found.load(Ordering::Relaxed);
            for at in (0..self.each.len()).map(|step| (first + step) % self.each.len()) {
                let config = &self.each[at];
                let limit = config.get_connect_timeout().copied().unwrap_or_default() + GREETING;
                match timeout(limit, config.connect(self.tls.clone())).await {
                    Ok(Ok(connected)) => {
                        self.found.store(at, Ordering::Relaxed);
                        return Ok(connected);
                    }
                    Ok(Err(error)) => failed = Some(error),
                    Err(_) => {
                        hangs = true;
                        // Whoever gives up on this attempt begins the next with another server.
                        self.found.store((at + 1) % self.each.len(), Ordering::Relaxed);
                    }
                }
            }
            if let (Some(error), false) = (failed, hangs) {
                return Err(error);
            }
        }
    }
}

impl Connect for Servers {
    fn connect(
        &self,
        _: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), Error>> + Send + '_>> {
        Box::pin(async move {
            let (client, connection) = self.connect().await?;
            // How it ends, the statement that was under way is told.
            let carried = tokio::spawn(async move { drop(connection.await) });
            Ok((client, carried))
        })
    }
}

/// The same, of one of its servers.
fn only(config: &Config, at: usize) -> Config {
    let mut one = Config::new();
    match config.get_hosts().get(at) {
        Some(Host::Tcp(name)) => drop(one.host(name)),
        #[cfg(unix)]
        Some(Host::Unix(path)) => drop(one.host_path(path)),
        None => {}
    }
    config.get_hostaddrs().get(at).map(|address| one.hostaddr(*address));
    let ports = config.get_ports();
    ports.get(at).or(ports.first()).map(|port| one.port(*port));
    config.get_user().map(|user| one.user(user));
    config.get_password().map(|password| one.password(password));
    config.get_dbname().map(|name| one.dbname(name));
    config.get_options().map(|options| one.options(options));
    config.get_application_name().map(|name| one.application_name(name));
    config.get_connect_timeout().map(|limit| one.connect_timeout(*limit));
    config.get_tcp_user_timeout().map(|limit| one.tcp_user_timeout(*limit));
    config.get_keepalives_interval().map(|interval| one.keepalives_interval(interval));
    config.get_keepalives_retries().map(|retries| one.keepalives_retries(retries));
    one.keepalives(config.get_keepalives()).keepalives_idle(config.get_keepalives_idle());
    one.ssl_mode(config.get_ssl_mode()).ssl_negotiation(config.get_ssl_negotiation());
    one.channel_binding(config.get_channel_binding());
    one.target_session_attrs(config.get_target_session_attrs());
    one.load_balance_hosts(config.get_load_balance_hosts());
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_server_has_all_that_the_url_says_but_the_others() {
        let url = |hosts: &str| {
            let url = format!(
                "postgres://u:p@{hosts}/d?options=-cx%3Dy&application_name=a&connect_timeout=9&tcp_user_timeout=8\
                 &keepalives=0&keepalives_idle=7&keepalives_interval=6&keepalives_retries=5&sslmode=require\
                 &sslnegotiation=direct&channel_binding=require&target_session_attrs=read-write\
                 &load_balance_hosts=random"
            );
            url.parse::<Config>().unwrap()
        };
        let both = url("one:1,two:2");
        assert_eq!(only(&both, 0), url("one:1"));
        assert_eq!(only(&both, 1), url("two:2"));
        let socket: Config = "postgres://u@%2Frun%2Fpostgresql/d".parse().unwrap();
        assert_eq!(only(&socket, 0).get_hosts(), socket.get_hosts());
    }
}
