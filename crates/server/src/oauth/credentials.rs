//! Who is asking: a PAT's id and secret in an OAuth request, however they were sent (RFC 6749 section 2.3.1).

use std::mem;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::{HeaderMap, HeaderValue, header};
use patron_core::secret::Secret;
use zeroize::Zeroizing;

use super::error::{OAuthError, echo};
use super::form::{Params, decode};

/// Base64 as RFC 4648 section 4 has it; clients differ over the padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A PAT's id and secret as somebody sent them; neither need look like one. It has no `Debug`.
#[derive(Clone)]
pub struct ClientCredentials {
    /// The PAT's id, not empty.
    pub client_id: String,
    /// The PAT's secret, not empty.
    pub secret: Secret,
}

/// Why an `Authorization` header holds no [`ClientCredentials`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BasicError {
    /// The header is of another scheme, such as `Bearer`, or empty: it says nothing about Basic.
    OtherScheme,
    /// Nothing behind the scheme, or a blank id or secret: nobody tried to be anybody.
    Empty,
    /// No Base64, no UTF-8, no colon, or a control character (RFC 7617 section 2).
    Malformed,
}

impl From<BasicError> for OAuthError {
    fn from(error: BasicError) -> Self {
        Self::client(match error {
            BasicError::OtherScheme => "The client did not authenticate.",
            BasicError::Empty => "The Basic credentials lack the client id or the secret.",
            BasicError::Malformed => "The Basic credentials are malformed.",
        })
    }
}

/// Reads `Authorization: Basic` (RFC 7617). Id and secret may be form-urlencoded, as RFC 6749 section 2.3.1 asks
/// and few clients do; what does not decode is taken as it is.
///
/// # Errors
/// [`BasicError`] says what the header is instead.
pub fn parse_basic(value: &HeaderValue) -> Result<ClientCredentials, BasicError> {
    let value = value.as_bytes().trim_ascii();
    let split = value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len());
    let (scheme, encoded) = value.split_at(split);
    if !scheme.eq_ignore_ascii_case(b"Basic") {
        return Err(BasicError::OtherScheme);
    }
    let encoded = encoded.trim_ascii();
    if encoded.is_empty() {
        return Err(BasicError::Empty);
    }
    let pair = Zeroizing::new(BASE64.decode(encoded).map_err(|_| BasicError::Malformed)?);
    let pair = str::from_utf8(&pair).map_err(|_| BasicError::Malformed)?;
    let (id, secret) = pair.split_once(':').ok_or(BasicError::Malformed)?;
    let field = |text: &str| {
        let decoded = decode(text.as_bytes()).unwrap_or_else(|| Zeroizing::new(text.to_owned()));
        if decoded.chars().any(char::is_control) { Err(BasicError::Malformed) } else { Ok(decoded) }
    };
    credentials(field(id)?, field(secret)?).ok_or(BasicError::Empty)
}

/// Credentials of an id and a secret that are not empty.
fn credentials(mut id: Zeroizing<String>, mut secret: Zeroizing<String>) -> Option<ClientCredentials> {
    let given = !id.is_empty() && !secret.is_empty();
    given.then(|| ClientCredentials {
        client_id: mem::take(&mut *id),
        secret: Secret::presented(mem::take(&mut *secret)),
    })
}

/// Takes the client's credentials out of the headers and the parameters. `Authorization` of another scheme is not
/// looked at: clients send along what they have.
///
/// # Errors
/// `invalid_request` for two secrets or two different ids (contract section 6) or two `Authorization` headers;
/// `invalid_client` when an id or a secret is missing, or the Basic header is malformed.
pub fn take_client(headers: &HeaderMap, params: &mut Params) -> Result<ClientCredentials, OAuthError> {
    let mut ids = params.take_all("client_id");
    let mut secrets = params.take_all("client_secret");
    let mut basics = headers.get_all(header::AUTHORIZATION).into_iter();
    let basic = basics.next().map(parse_basic).filter(|basic| !matches!(basic, Err(BasicError::OtherScheme)));
    if basics.next().is_some() {
        return Err(OAuthError::request("The request has more than one Authorization header."));
    }
    if secrets.len() + usize::from(basic.is_some()) > 1 {
        return Err(OAuthError::request("The client secret was sent more than once."));
    }
    let basic = basic.transpose()?;
    let basic_id = basic.as_ref().map(|basic| basic.client_id.as_str());
    let first_id = basic_id.or_else(|| ids.first().map(|id| id.as_str()));
    if ids.iter().any(|id| first_id != Some(id.as_str())) {
        return Err(OAuthError::request("Two different client ids were sent."));
    }
    if let Some(credentials) = basic {
        return Ok(credentials);
    }
    match (ids.pop(), secrets.pop()) {
        (Some(id), Some(secret)) => {
            credentials(id, secret).ok_or_else(|| OAuthError::client("The client did not authenticate."))
        }
        (Some(_), None) => Err(OAuthError::client("The client secret is missing.")),
        (None, Some(_)) => Err(OAuthError::client("The client id is missing.")),
        (None, None) => Err(OAuthError::client("The client did not authenticate.")),
    }
}

/// A request for an access token: `grant_type=client_credentials` (RFC 6749 section 4.4.2). It has no `Debug`.
pub struct TokenRequest {
    /// Who asks.
    pub client: ClientCredentials,
    /// The scopes asked for, unchecked and not empty; `None` asks for all that the PAT has.
    pub scope: Option<String>,
}

impl TokenRequest {
    /// Reads a token request.
    ///
    /// # Errors
    /// `invalid_request` without a `grant_type` or for a repeated parameter, `unsupported_grant_type` for another
    /// than `client_credentials` (in any case), and those of [`take_client`].
    pub fn parse(headers: &HeaderMap, mut params: Params) -> Result<Self, OAuthError> {
        let grant_type = params.take("grant_type")?;
        let grant_type =
            grant_type.ok_or_else(|| OAuthError::request("Parameter 'grant_type' is missing."))?;
        if !grant_type.eq_ignore_ascii_case("client_credentials") {
            let text =
                format!("Grant type '{}' is not known here; use 'client_credentials'.", echo(&grant_type));
            return Err(OAuthError::UnsupportedGrantType(text));
        }
        let scope = params.take("scope")?.map(|mut scope| mem::take(&mut *scope));
        Ok(Self { client: take_client(headers, &mut params)?, scope })
    }
}

/// A question about an access token, or its end: RFC 7662 section 2.1 and RFC 7009 section 2.1. It has no `Debug`.
pub struct TokenReference {
    /// Who asks.
    pub client: ClientCredentials,
    /// The token that is meant; a secret as well, until it expires.
    pub token: Secret,
}

impl TokenReference {
    /// Reads a request to introspect or to revoke.
    ///
    /// # Errors
    /// Those of [`take_client`], then `invalid_request` without a `token` or for a repeated parameter: a caller
    /// that is nobody learns nothing else.
    pub fn parse(headers: &HeaderMap, mut params: Params) -> Result<Self, OAuthError> {
        let client = take_client(headers, &mut params)?;
        let mut token =
            params.take("token")?.ok_or_else(|| OAuthError::request("Parameter 'token' is missing."))?;
        // There is one kind of token, so a hint helps nothing; repeated, it is refused like any parameter.
        params.take("token_type_hint")?;
        Ok(Self { client, token: Secret::presented(mem::take(&mut *token)) })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::FutureExt as _;
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::super::form::parse_params;
    use super::*;

    const ID: &str = "ef38f94347e94562b5bb8424a56397d8";
    const SECRET: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1bd708085d";
    const FORM: &str = "application/x-www-form-urlencoded";
    const MULTIPART: &str = "multipart/form-data; boundary=XyZ";

    /// A request as a client writes it: one line a row in the tests below.
    #[derive(Default, Clone)]
    struct Sent {
        content_type: &'static str,
        authorization: Vec<String>,
        query: String,
        body: String,
    }

    impl Sent {
        fn form(body: impl Into<String>) -> Self {
            Self { content_type: FORM, body: body.into(), ..Self::default() }
        }

        fn multipart(parts: &[(&str, &str)]) -> Self {
            let part = |(header, value): &(&str, &str)| {
                format!("--XyZ\r\nContent-Disposition: form-data; {header}\r\n\r\n{value}\r\n")
            };
            let body = parts.iter().map(part).collect::<String>() + "--XyZ--\r\n";
            Self { content_type: MULTIPART, body, ..Self::default() }
        }

        fn query(mut self, query: impl Into<String>) -> Self {
            self.query = query.into();
            self
        }

        fn authorization(mut self, value: impl Into<String>) -> Self {
            self.authorization.push(value.into());
            self
        }

        fn basic(self, pair: &str) -> Self {
            self.authorization(format!("Basic {}", BASE64.encode(pair)))
        }

        fn read(&self) -> Result<TokenRequest, OAuthError> {
            let (headers, params) = self.params();
            TokenRequest::parse(&headers, params?)
        }

        fn params(&self) -> (HeaderMap, Result<Params, OAuthError>) {
            let mut headers = HeaderMap::new();
            if !self.content_type.is_empty() {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
            }
            for value in &self.authorization {
                headers.append(header::AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            let body = Bytes::from(self.body.clone());
            let params = parse_params(&headers, Some(&self.query), body).now_or_never();
            (headers, params.expect("nothing to wait for"))
        }

        /// `Ok` with the credentials that were found, or the code of the refusal.
        fn found(&self) -> Result<(String, String), &'static str> {
            let client = self.read().map_err(|error| error.code())?.client;
            Ok((client.client_id, client.secret.expose().to_owned()))
        }
    }

    const GRANT: &str = "grant_type=client_credentials";

    #[test]
    fn every_way_of_sending_credentials() {
        let id = format!("client_id={ID}");
        let secret = format!("client_secret={SECRET}");
        let all = format!("{GRANT}&{id}&{secret}");
        let pair = format!("{ID}:{SECRET}");
        let unpadded = BASE64.encode(&pair).trim_end_matches('=').to_owned();
        assert!(BASE64.encode(&pair).ends_with('='), "the unpadded row would prove nothing");
        let parts = [
            ("name=\"grant_type\"", "client_credentials"),
            ("name=\"client_id\"", ID),
            ("name=\"client_secret\"", SECRET),
        ];
        let unquoted = [
            ("name=grant_type", "client_credentials"),
            ("name=client_id", ID),
            ("name=client_secret", SECRET),
        ];
        let typed = [
            ("name=grant_type\r\nContent-Type: text/plain", "client_credentials"),
            ("name=\"client_id\"\r\nContent-Type: text/plain; charset=utf-8", ID),
            ("name=client_secret; filename=secret.txt\r\nContent-Type: application/octet-stream", SECRET),
        ];
        let json = Sent { content_type: "application/json; charset=utf-8", ..Sent::default() };
        let charset =
            Sent { content_type: "application/x-www-form-urlencoded; charset=utf-8", ..Sent::form(&all) };
        for (way, sent) in [
            ("form", Sent::form(&all)),
            ("form with a charset", charset),
            ("form without a content type", Sent { content_type: "", ..Sent::form(&all) }),
            ("multipart", Sent::multipart(&parts)),
            ("multipart, unquoted names", Sent::multipart(&unquoted)),
            ("multipart, parts with a content type", Sent::multipart(&typed)),
            ("query", Sent::default().query(&all)),
            ("query, with a content type and no body", json.query(&all)),
            ("grant in the query", Sent::form(format!("{id}&{secret}")).query(GRANT)),
            ("grant in the form", Sent::form(GRANT).query(format!("{id}&{secret}"))),
            ("id in the query", Sent::form(format!("{GRANT}&{secret}")).query(&id)),
            ("secret in the query", Sent::form(format!("{GRANT}&{id}")).query(&secret)),
            ("id in both", Sent::form(&all).query(&id)),
            ("id twice in the form", Sent::form(format!("{all}&{id}"))),
            ("multipart and query", Sent::multipart(&parts[..2]).query(&secret)),
            ("empty values beside", Sent::form(format!("{all}&client_secret=&client_id=&scope="))),
            ("unknown parameters, repeated", Sent::form(format!("{all}&resource=a&resource=b"))),
            ("Basic", Sent::form(GRANT).basic(&pair)),
            ("Basic, grant in the query", Sent::default().query(GRANT).basic(&pair)),
            ("Basic, id in the form as well", Sent::form(format!("{GRANT}&{id}")).basic(&pair)),
            ("Basic, id in the query as well", Sent::form(GRANT).query(&id).basic(&pair)),
            ("Basic with multipart", Sent::multipart(&unquoted[..2]).basic(&pair)),
            ("Basic without padding", Sent::form(GRANT).authorization(format!("basic {unpadded}"))),
            ("Basic, more blanks", Sent::form(GRANT).authorization(format!("BASIC   {unpadded} "))),
            ("Basic, encoded", Sent::form(GRANT).basic(&pair.replace('e', "%65"))),
            ("a leftover Bearer", Sent::form(&all).authorization("Bearer abc")),
            ("an empty Authorization", Sent::form(&all).authorization("")),
        ] {
            assert_eq!(sent.found(), Ok((ID.to_owned(), SECRET.to_owned())), "{way}");
        }
    }

    #[test]
    fn every_way_of_getting_it_wrong() {
        let id = format!("client_id={ID}");
        let secret = format!("client_secret={SECRET}");
        let all = format!("{GRANT}&{id}&{secret}");
        let pair = format!("{ID}:{SECRET}");
        for (way, sent, code) in [
            ("two secrets in the form", Sent::form(format!("{all}&client_secret=x")), "invalid_request"),
            ("the same secret twice", Sent::form(&all).query(&secret), "invalid_request"),
            ("Basic and a secret", Sent::form(format!("{GRANT}&{secret}")).basic(&pair), "invalid_request"),
            ("broken Basic and a secret", Sent::form(&all).authorization("Basic !"), "invalid_request"),
            ("two ids", Sent::form(&all).query("client_id=other"), "invalid_request"),
            ("two ids, no secret", Sent::form(format!("{GRANT}&{id}&client_id=x")), "invalid_request"),
            (
                "Basic and another id",
                Sent::form(format!("{GRANT}&client_id=x")).basic(&pair),
                "invalid_request",
            ),
            ("two headers", Sent::form(GRANT).basic(&pair).basic(&pair), "invalid_request"),
            ("two grant types", Sent::form(&all).query(GRANT), "invalid_request"),
            ("two scopes", Sent::form(format!("{all}&scope=a&scope=b")), "invalid_request"),
            ("no grant type", Sent::form(format!("{id}&{secret}")), "invalid_request"),
            ("an empty grant type", Sent::form(format!("{id}&{secret}&grant_type=")), "invalid_request"),
            ("nothing", Sent::default(), "invalid_request"),
            ("another grant", Sent::form("grant_type=password"), "unsupported_grant_type"),
            ("no credentials", Sent::form(GRANT), "invalid_client"),
            ("no secret", Sent::form(format!("{GRANT}&{id}")), "invalid_client"),
            ("an empty secret", Sent::form(format!("{GRANT}&{id}&client_secret=")), "invalid_client"),
            ("no id", Sent::form(format!("{GRANT}&{secret}")), "invalid_client"),
            ("only a Bearer", Sent::form(GRANT).authorization("Bearer x"), "invalid_client"),
            ("Basic, empty", Sent::form(GRANT).authorization("Basic "), "invalid_client"),
            ("Basic, no colon", Sent::form(GRANT).basic(ID), "invalid_client"),
            ("Basic, no secret", Sent::form(GRANT).basic(&format!("{ID}:")), "invalid_client"),
            (
                "a body of another type",
                Sent { content_type: "text/plain", ..Sent::form(all) },
                "invalid_request",
            ),
        ] {
            assert_eq!(sent.found(), Err(code), "{way}");
        }
    }

    #[test]
    fn the_grant_type_is_read_in_any_case_and_said_back_printably() {
        let rest = format!("client_id={ID}&client_secret={SECRET}&scope=a+b");
        let request = Sent::form(format!("grant_type=CLIENT_Credentials&{rest}")).read().ok().unwrap();
        assert_eq!(request.scope.as_deref(), Some("a b"));
        let error = Sent::form(format!("grant_type=%22%0Ax%C3%A9&{rest}")).read().err().unwrap();
        assert_eq!(error.description(), "Grant type ''?x?' is not known here; use 'client_credentials'.");
    }

    #[test]
    fn what_a_basic_header_can_be_instead() {
        let encoded = |pair: &[u8]| format!("Basic {}", BASE64.encode(pair));
        for (value, error) in [
            (String::new(), BasicError::OtherScheme),
            ("Bearer abc".to_owned(), BasicError::OtherScheme),
            ("Basicx abc".to_owned(), BasicError::OtherScheme),
            ("Basic".to_owned(), BasicError::Empty),
            ("Basic  ".to_owned(), BasicError::Empty),
            (encoded(b":"), BasicError::Empty),
            (encoded(b":secret"), BasicError::Empty),
            (encoded(b"id:"), BasicError::Empty),
            ("Basic !!!!".to_owned(), BasicError::Malformed),
            ("Basic YTpi YTpi".to_owned(), BasicError::Malformed),
            (encoded(b"id"), BasicError::Malformed),
            (encoded(b"id:\xff"), BasicError::Malformed),
            (encoded(b"id:a\0b"), BasicError::Malformed),
            (encoded(b"id:a%0Ab"), BasicError::Malformed),
        ] {
            let header = HeaderValue::from_str(&value).unwrap();
            assert_eq!(parse_basic(&header).err(), Some(error), "{value}");
        }
        // An escape that decodes to nothing is part of the secret; only the first colon parts it from the id.
        let odd = parse_basic(&HeaderValue::from_str(&encoded(b"id:50%:%zz")).unwrap()).ok().unwrap();
        assert_eq!((odd.client_id.as_str(), odd.secret.expose()), ("id", "50%:%zz"));
    }

    #[test]
    fn a_token_to_introspect_or_revoke() {
        let pair = format!("{ID}:{SECRET}");
        let read = |sent: &Sent| {
            let (headers, params) = sent.params();
            TokenReference::parse(&headers, params?)
        };
        let good = read(&Sent::form("token=a.b.c&token_type_hint=access_token").basic(&pair)).ok().unwrap();
        assert_eq!(good.token.expose(), "a.b.c");
        assert_eq!(good.client.client_id, ID);
        for (sent, code) in [
            (Sent::form("token=a").authorization("Bearer a"), "invalid_client"),
            (Sent::form("").basic(&pair), "invalid_request"),
            (Sent::form("token=").basic(&pair), "invalid_request"),
            (Sent::form("token=a&token=a").basic(&pair), "invalid_request"),
            (Sent::form("token=a").query("token=a").basic(&pair), "invalid_request"),
            (Sent::form("token=a&token_type_hint=x&token_type_hint=x").basic(&pair), "invalid_request"),
        ] {
            assert_eq!(read(&sent).err().unwrap().code(), code);
        }
    }

    proptest! {
        #[test]
        fn no_header_breaks_it(bytes in any::<Vec<u8>>(), encoded in any::<Vec<u8>>()) {
            for bytes in [bytes.clone(), [&b"Basic "[..], &bytes].concat(), format!("Basic {}", BASE64.encode(encoded)).into()] {
                if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                    let _ = parse_basic(&value);
                }
            }
        }

        #[test]
        fn each_way_gives_the_same_credentials(
            id in "[ -~&&[^%]]{0,8}\\PC{1,12}",
            secret in "[ -~&&[^%]]{0,8}\\PC{1,12}",
            way in 0..6,
        ) {
            prop_assume!(!id.contains(['\r', '\n']) && !secret.contains(['\r', '\n']));
            let escape = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
            let (id_pair, secret_pair) = (format!("client_id={}", escape(&id)), format!("client_secret={}", escape(&secret)));
            let sent = match way {
                0 => Sent::form(format!("{GRANT}&{id_pair}&{secret_pair}")),
                1 => Sent::default().query(format!("{GRANT}&{id_pair}&{secret_pair}")),
                2 => Sent::form(format!("{GRANT}&{secret_pair}")).query(id_pair),
                3 => Sent::multipart(&[("name=grant_type", "client_credentials"), ("name=client_id", &id), ("name=client_secret", &secret)]),
                4 => Sent::multipart(&[("name=\"client_id\"", &id)]).query(format!("{secret_pair}&{GRANT}")),
                _ => Sent::form(GRANT).basic(&format!("{}:{}", escape(&id), escape(&secret))),
            };
            prop_assert_eq!(sent.found(), Ok((id, secret)));
        }
    }
}
