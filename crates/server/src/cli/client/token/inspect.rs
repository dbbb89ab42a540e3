//! `patron token inspect`: what an access token says, and whether it is the server's.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use patron_core::time::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};

use super::super::connection::Connection;
use super::super::credentials::Credential;
use super::super::{Caller, Failed, fault, show, terminal};

#[derive(Args)]
pub(super) struct Inspect {
    /// - takes the token from stdin; without it, it is the credential's own
    #[arg(value_name = "-")]
    from: Option<String>,
}

pub(super) async fn run(caller: &Caller, args: &Inspect, credential: Credential) -> Result<(), Failed> {
    let connection = Connection::open(caller, credential)?;
    let token: SecretString = match args.from.as_deref() {
        Some("-") => terminal::line().await?.into(),
        // It is not repeated: it may be the token, which others could read among the arguments.
        Some(_) => return Err(fault::usage("a token is no argument: give - and the token on stdin")),
        None => {
            let token = connection.client.token().await?;
            connection.keep_token();
            token.expose().to_owned().into()
        }
    };
    // Also as `patron token --header` prints it.
    let token = token.expose_secret().trim_start_matches("Authorization: ").trim_start_matches("Bearer ");
    let (header, claims) = parts(token).ok_or("this is no JWT")?;
    let wrong = match connection.client.verify(token).await {
        Ok(_) => None,
        Err(error @ patron_client::Error::Token(_)) => Some(error),
        Err(error) => return Err(error.into()),
    };
    let told = json!({
        "valid": wrong.is_none(),
        "reason": wrong.as_ref().map(ToString::to_string),
        "header": header,
        "claims": claims,
    });
    show::out(&if caller.json { show::pretty(&told) } else { lines(&told) })?;
    wrong.map_or(Ok(()), |error| Err(error.into()))
}

/// Header and claims, whoever has signed them.
fn parts(token: &str) -> Option<(Map<String, Value>, Map<String, Value>)> {
    let mut parts = token.split('.');
    let mut object = || {
        let bytes = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
        serde_json::from_slice::<Map<String, Value>>(&bytes).ok()
    };
    Some((object()?, object()?))
}

/// A line for each field, times as dates beside their numbers.
fn lines(told: &Value) -> String {
    let mut text = format!("valid: {}\n", show::cell(&told["valid"]));
    for part in ["header", "claims"] {
        for (name, value) in told[part].as_object().into_iter().flatten() {
            let time = ["exp", "iat", "nbf", "auth_time"].contains(&name.as_str());
            let date = value.as_i64().filter(|_| time).and_then(|seconds| seconds.checked_mul(1_000));
            let date = date.map_or(String::new(), |millis| format!(" ({})", Timestamp::from_millis(millis)));
            text.extend([&show::harmless(name), ": ", &show::cell(value), &date, "\n"]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jwt_is_taken_apart() {
        let encoded = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let token = format!(
            "{}.{}.sig",
            encoded(json!({ "alg": "ES256" })),
            encoded(json!({ "exp": 0, "sub": "a\u{1b}" }))
        );
        let (header, claims) = parts(&token).unwrap();
        assert_eq!((&header["alg"], &claims["exp"]), (&json!("ES256"), &json!(0)));
        let text = lines(&json!({ "valid": true, "header": header, "claims": claims }));
        assert_eq!(text, "valid: true\nalg: ES256\nexp: 0 (1970-01-01T00:00:00.000Z)\nsub: a\u{fffd}\n");
        for none in ["", "a", "a.b", "..", &format!("{}.", encoded(json!([])))] {
            assert!(parts(none).is_none(), "{none}");
        }
    }
}
