//! What a `postgres://` URL says: which servers, as whom, and how they are known to be the right ones.

use std::sync::Arc;
use std::time::Duration;

use patron_core::{Error, Result};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::servers::Servers;

/// How long one server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// After how long a connection on which nothing comes back is given up: its server may be gone without a word.
const SILENCE: Duration = Duration::from_secs(5);
/// How often such a connection is knocked at meanwhile.
const KNOCK: Duration = Duration::from_secs(1);

/// How the server's certificate is judged: libpq's `sslmode`, of which the two are left out that send what is secret
/// in the clear when somebody in between asks for it, and the one that takes any host's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tls {
    /// No encryption: for this machine.
    Disable,
    /// Encrypted, whoever the server is.
    Require,
    /// Encrypted, and the server is the one that the URL names.
    VerifyFull,
}

/// A server, or several of which one is the primary, and how to connect to it.
pub(super) struct Address {
    pub(super) config: Config,
    pub(super) servers: Servers,
}

impl Address {
    /// Reads a URL as libpq does: several hosts with a comma between, `sslmode`, `sslrootcert` (a PEM file; without it
    /// the system's authorities count) and what else `tokio_postgres` knows.
    ///
    /// # Errors
    /// [`Error::Internal`] with a cause for the operator that quotes nothing of the URL, for it may hold a password.
    pub(super) fn parse(url: &str) -> Result<Self> {
        let (base, parameters) = url.split_once('?').unwrap_or((url, ""));
        let (mut mode, mut roots) = (None, None);
        let mut rest = form_urlencoded::Serializer::new(String::new());
        for (name, value) in form_urlencoded::parse(parameters.as_bytes()) {
            match &*name {
                "sslmode" => mode = Some(tls_mode(&value)?),
                "sslrootcert" => roots = Some(value.into_owned()),
                _ => drop(rest.append_pair(&name, &value)),
            }
        }
        // A blank is written as `+` in a form and as `%20` in this URL.
        let rest = rest.finish().replace('+', "%20");
        let url = if rest.is_empty() { base.to_owned() } else { format!("{base}?{rest}") };
        let mut config: Config =
            url.parse().map_err(|_| Error::internal("is not as postgres://user:password@host/database"))?;
        if config.get_hosts().is_empty() {
            return Err(Error::internal("names no host"));
        }
        let here = config.get_hosts().iter().all(is_here)
            && config.get_hostaddrs().iter().all(std::net::IpAddr::is_loopback);
        let mode = mode.unwrap_or(if here { Tls::Disable } else { Tls::VerifyFull });
        if mode == Tls::Require && roots.is_some() {
            return Err(Error::internal(
                "sslmode=require looks at no certificate: sslrootcert wants verify-full",
            ));
        }
        let tls = client_config(mode, roots.as_deref())?;
        config.ssl_mode(if mode == Tls::Disable { SslMode::Disable } else { SslMode::Require });
        set_defaults(&mut config);
        let servers = Servers::of(&config, MakeRustlsConnect::new(tls));
        Ok(Self { config, servers })
    }
}

/// What holds unless the URL says otherwise. Of several servers the one that can be written to is wanted, and after a
/// failover it is another one.
fn set_defaults(config: &mut Config) {
    config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    if config.get_application_name().is_none() {
        config.application_name("patron");
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(SILENCE);
    }
    config.keepalives_idle(KNOCK).keepalives_interval(KNOCK).keepalives_retries(4);
}

/// Whether what is sent there stays on this machine.
fn is_here(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

fn tls_mode(text: &str) -> Result<Tls> {
    match text {
        "disable" => Ok(Tls::Disable),
        "require" => Ok(Tls::Require),
        "verify-full" => Ok(Tls::VerifyFull),
        _ => Err(Error::internal("sslmode must be disable, require or verify-full")),
    }
}

fn client_config(mode: Tls, roots: Option<&str>) -> Result<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match (mode, roots) {
        (Tls::Disable | Tls::Require, _) => Arc::new(Anybody(Arc::clone(&provider))),
        (Tls::VerifyFull, Some(path)) => {
            let roots = Arc::new(root_store(path)?);
            let builder = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider));
            builder.build().map_err(Error::internal)?
        }
        (Tls::VerifyFull, None) => Arc::new(Verifier::new(Arc::clone(&provider)).map_err(Error::internal)?),
    };
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().map_err(Error::internal)?;
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

fn root_store(path: &str) -> Result<RootCertStore> {
    let unreadable = |error| Error::internal(format!("sslrootcert: {path} holds no certificates: {error}"));
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        store.add(certificate.map_err(unreadable)?).map_err(Error::internal)?;
    }
    if store.is_empty() {
        return Err(Error::internal(format!("sslrootcert: {path} holds no certificates")));
    }
    Ok(store)
}

/// Takes any certificate, as `sslmode=require` asks for. The handshake's signature is still checked.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Config {
        Address::parse(url).unwrap_or_else(|error| panic!("{url}: {:?}", error.cause())).config
    }

    fn refusal(url: &str) -> String {
        Address::parse(url).err().and_then(|error| error.cause().map(str::to_owned)).unwrap()
    }

    #[test]
    fn what_leaves_this_machine_is_encrypted_unless_the_url_says_otherwise() {
        for (url, mode) in [
            ("postgres://u@127.0.0.1/d", SslMode::Disable),
            ("postgres://u@[::1]/d", SslMode::Disable),
            ("postgresql://u@localhost:5433/d", SslMode::Disable),
            ("postgres://u@%2Fvar%2Frun%2Fpostgresql/d", SslMode::Disable),
            ("postgres://u@db.example.com/d", SslMode::Require),
            ("postgres://u@127.0.0.1,db.example.com/d", SslMode::Require),
            ("postgres://u@localhost.example.com/d", SslMode::Require),
            ("postgres://u@localhost/d?hostaddr=192.0.2.1", SslMode::Require),
            ("postgres://u@localhost/d?hostaddr=127.0.0.1", SslMode::Disable),
            ("postgres://u@db.example.com/d?sslmode=disable", SslMode::Disable),
            ("postgres://u@127.0.0.1/d?sslmode=require", SslMode::Require),
            ("postgres://u@127.0.0.1/d?sslmode=verify-full&application_name=x%20y", SslMode::Require),
        ] {
            assert_eq!(address(url).get_ssl_mode(), mode, "{url}");
        }
        assert_eq!(
            address("postgres://u@127.0.0.1/d?sslmode=require&application_name=x%20y").get_application_name(),
            Some("x y"),
            "what is not TLS's is kept"
        );
    }

    #[test]
    fn several_hosts_are_tried_for_the_one_that_can_be_written_to() {
        let config = address("postgres://u:p@one.example.com:5433,two.example.com:5434/d");
        assert_eq!((config.get_hosts().len(), config.get_ports()), (2, &[5433, 5434][..]));
        assert_eq!(config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        assert_eq!(config.get_connect_timeout(), Some(&CONNECT_TIMEOUT));
        let patient = address("postgres://u@127.0.0.1/d?connect_timeout=9");
        assert_eq!(patient.get_connect_timeout(), Some(&Duration::from_secs(9)));
    }

    #[test]
    fn a_url_that_cannot_be_read_is_not_quoted() {
        for url in [
            "postgres://u:hunter2@db.example.com:port/d",
            "postgres://u:hunter2@127.0.0.1/d?sslmode=prefer",
            "postgres://u:hunter2@127.0.0.1/d?sslmode=",
            "postgres://u:hunter2@127.0.0.1/d?no_such_parameter=1",
            "postgres://u:hunter2@127.0.0.1/d?sslmode=verify-full&sslrootcert=/nowhere/roots.pem",
        ] {
            let cause = refusal(url);
            assert!(!cause.contains("hunter2"), "{cause}");
        }
        assert!(
            refusal("postgres://u@h/d?sslmode=require&sslrootcert=/x").contains("looks at no certificate")
        );
        assert!(refusal("postgres://u@h/d?sslmode=allow").contains("verify-full"));
        assert!(refusal("postgres://u@h/d?sslmode=verify-full&sslrootcert=/nowhere").contains("/nowhere"));
    }
}
