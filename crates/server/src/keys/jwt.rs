//! Access tokens: JWTs (RFC 9068) signed with ES256 (RFC 7518 section 3.4).

use aws_lc_rs::digest::{self, SHA256};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, ParsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};
use zeroize::Zeroizing;

use crate::limits::TOKEN_BYTES;

/// Bytes of a P-256 coordinate.
const COORDINATE_BYTES: usize = 32;
/// Bytes of an uncompressed P-256 point: 4, x, y (SEC 1 section 2.3.3).
const POINT_BYTES: usize = 1 + 2 * COORDINATE_BYTES;
/// Bytes of an ES256 signature: R and S (RFC 7518 section 3.4).
const SIGNATURE_BYTES: usize = 64;
/// Characters of that signature in base64url.
const SIGNATURE_CHARS: usize = 86;

/// What an access token says (contract section 6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued it: the tenant's public URL.
    pub iss: String,
    /// Whom it speaks for: the identity's id.
    pub sub: String,
    /// For whom it is meant; by default `iss`.
    pub aud: String,
    /// When it was issued, seconds since 1970.
    pub iat: i64,
    /// From when on it is no longer good, seconds since 1970.
    pub exp: i64,
    /// Its own id.
    pub jti: String,
    /// The PAT's id.
    pub client_id: String,
    /// The scopes that it has.
    pub scope: ScopeClaim,
    /// The tenant's id.
    pub tenant_id: String,
    /// The tenant's name.
    pub org: String,
    /// The installation that issued it.
    pub pod: String,
    /// The identity's id.
    pub identity_id: String,
    /// The identity's login name.
    pub user_name: String,
    /// The identity's user levels.
    pub authorities: Vec<String>,
    /// Whether the identity signed in with more than one factor.
    pub strong_auth: bool,
    /// Whether it could have.
    pub strong_auth_supported: bool,
    /// Whether the token is of the platform's own making.
    pub internal: bool,
}

/// The `scope` claim: one string by RFC 9068 section 2.2.3, an array as the original product writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ScopeClaim {
    /// Space between.
    Text(String),
    /// One element a scope.
    List(Vec<String>),
}

impl ScopeClaim {
    /// Each scope.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let (text, list) = match self {
            Self::Text(text) => (text.as_str(), &[][..]),
            Self::List(list) => ("", list.as_slice()),
        };
        text.split_ascii_whitespace().chain(list.iter().map(String::as_str))
    }
}

/// Why a JWT is no access token of ours. `Display` is a public text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// Not three parts of base64url, or not of the JSON that they must hold.
    #[error("JWT is malformed")]
    Malformed,
    /// Longer than [`TOKEN_BYTES`].
    #[error("JWT is too long")]
    TooLong,
    /// Signed with anything but ES256, or not at all.
    #[error("JWT algorithm is not supported")]
    UnsupportedAlgorithm,
    /// A JWT of another kind, such as an ID token (RFC 9068 section 4).
    #[error("JWT is not an access token")]
    NotAnAccessToken,
    /// Says that something must be understood that is not (RFC 7515 section 4.1.11).
    #[error("JWT has an unknown critical header")]
    UnknownCritical,
    /// Names no key, or one that is not published (any more).
    #[error("JWT key is unknown")]
    UnknownKey,
    /// Not signed by the key that it names.
    #[error("JWT signature is invalid")]
    BadSignature,
}

/// Why a signing key cannot be used. For the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    /// The private key is no P-256 key in PKCS#8.
    #[error("the private key is no P-256 key")]
    NotAKey,
    /// The public key is no P-256 key as a JWK, or its kid is not its thumbprint.
    #[error("the public key is no P-256 key, or not the one that its kid names")]
    NotAJwk,
    /// The claims are no JSON.
    #[error("the claims cannot be written as JSON")]
    Claims,
    /// The cryptographic library failed.
    #[error("the cryptographic library failed")]
    Library,
}

/// A public key as a JWK (RFC 7517, RFC 7518 section 6.2.1).
#[derive(Serialize, Deserialize)]
struct Jwk<'a> {
    kty: &'a str,
    crv: &'a str,
    x: &'a str,
    y: &'a str,
    kid: &'a str,
    alg: &'a str,
    #[serde(rename = "use")]
    usage: &'a str,
}

/// A key that verifies: parsed once, used for every request.
pub struct VerifyingKey(ParsedPublicKey);

impl VerifyingKey {
    /// The key of this uncompressed point.
    fn from_point(point: &[u8]) -> Result<Self, SigningError> {
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map(Self).map_err(|_| SigningError::NotAJwk)
    }

    /// Reads a JWK that [`SigningKey::public_jwk`] wrote, and answers its kid with it.
    ///
    /// # Errors
    /// [`SigningError::NotAJwk`] also when the kid is not the key's thumbprint.
    pub fn from_jwk(json: &str) -> Result<(String, Self), SigningError> {
        let jwk: Jwk<'_> = serde_json::from_str(json).map_err(|_| SigningError::NotAJwk)?;
        let mut point = [4; POINT_BYTES];
        let mut fill = |at: usize, text: &str| {
            let coordinate = BASE64URL.decode(text).ok().filter(|bytes| bytes.len() == COORDINATE_BYTES);
            coordinate.map(|bytes| point[at..at + COORDINATE_BYTES].copy_from_slice(&bytes))
        };
        let read = fill(1, jwk.x).and(fill(1 + COORDINATE_BYTES, jwk.y)).is_some();
        let meant = (jwk.kty, jwk.crv, jwk.alg, jwk.usage) == ("EC", "P-256", "ES256", "sig");
        if !read || !meant || thumbprint(jwk.x, jwk.y) != jwk.kid {
            return Err(SigningError::NotAJwk);
        }
        Ok((jwk.kid.to_owned(), Self::from_point(&point)?))
    }
}

/// The name of a key: its thumbprint (RFC 7638 section 3), so that a name can never stand for another key.
fn thumbprint(x: &str, y: &str) -> String {
    let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    BASE64URL.encode(digest::digest(&SHA256, members.as_bytes()))
}

/// A key that signs: parsed once, used for every token. It has no `Debug`.
pub struct SigningKey {
    pair: EcdsaKeyPair,
    verifying: VerifyingKey,
    kid: String,
    public_jwk: String,
    /// The first part of every token that it signs, and the dot behind it.
    prefix: String,
}

impl SigningKey {
    /// A new key and its private half in PKCS#8, to be sealed. The randomness is the cryptographic library's own,
    /// as is that of each signature: it takes no other.
    ///
    /// # Errors
    /// [`SigningError::Library`].
    pub fn generate() -> Result<(Self, Zeroizing<Vec<u8>>), SigningError> {
        let pair =
            EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| SigningError::Library)?;
        let pkcs8 = pair.to_pkcs8v1().map_err(|_| SigningError::Library)?;
        let pkcs8 = Zeroizing::new(pkcs8.as_ref().to_vec());
        Ok((Self::from_pair(pair)?, pkcs8))
    }

    /// Reads a private key in PKCS#8.
    ///
    /// # Errors
    /// [`SigningError::NotAKey`].
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, SigningError> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8);
        Self::from_pair(pair.map_err(|_| SigningError::NotAKey)?)
    }

    fn from_pair(pair: EcdsaKeyPair) -> Result<Self, SigningError> {
        let point = pair.public_key().as_ref();
        let verifying = VerifyingKey::from_point(point)?;
        let (x, y) = point
            .split_first()
            .and_then(|(_, coordinates)| coordinates.split_at_checked(COORDINATE_BYTES))
            .ok_or(SigningError::NotAKey)?;
        let (x, y) = (BASE64URL.encode(x), BASE64URL.encode(y));
        let kid = thumbprint(&x, &y);
        let jwk = Jwk { kty: "EC", crv: "P-256", x: &x, y: &y, kid: &kid, alg: "ES256", usage: "sig" };
        let public_jwk = serde_json::to_string(&jwk).map_err(|_| SigningError::NotAJwk)?;
        let mut prefix = BASE64URL.encode(format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"at+jwt"}}"#));
        prefix.push('.');
        Ok(Self { pair, verifying, kid, public_jwk, prefix })
    }

    /// Its name.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Its public half as a JWK, in JSON: `kty`, `crv`, `x`, `y`, `kid`, `alg`, `use`.
    pub fn public_jwk(&self) -> &str {
        &self.public_jwk
    }

    /// Its public half.
    pub fn verifying(&self) -> &VerifyingKey {
        &self.verifying
    }

    /// An access token that says `claims`: a JWS in compact serialization (RFC 7515 section 3.1).
    ///
    /// # Errors
    /// [`SigningError::Claims`] or [`SigningError::Library`].
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, SigningError> {
        // Room for a usual token's claims, so that neither buffer has to grow.
        let mut json = Vec::with_capacity(1_024);
        serde_json::to_writer(&mut json, claims).map_err(|_| SigningError::Claims)?;
        let mut token =
            String::with_capacity(self.prefix.len() + json.len().div_ceil(3) * 4 + 1 + SIGNATURE_CHARS);
        token.push_str(&self.prefix);
        BASE64URL.encode_string(&json, &mut token);
        let signature =
            self.pair.sign(&SystemRandom::new(), token.as_bytes()).map_err(|_| SigningError::Library)?;
        token.push('.');
        BASE64URL.encode_string(signature.as_ref(), &mut token);
        Ok(token)
    }
}

/// What is read of a JWT's header. A member that is there twice is an error, as RFC 7515 section 4 allows.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: bool,
}

/// Whether a member is there, whatever it holds.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// Verifies the signature of an access token and answers what it says. `key` finds a published key by its kid.
/// The caller still has to look at the claims: when it expires, who issued it and for whom.
///
/// # Errors
/// [`JwtError`]; nothing of a token is believed before its signature is verified with a key of ours, by the one
/// algorithm that our keys are for (RFC 8725 sections 3.1 and 3.11).
pub fn verify<'k>(
    token: &str,
    key: impl FnOnce(&str) -> Option<&'k VerifyingKey>,
) -> Result<Claims, JwtError> {
    if token.len() > TOKEN_BYTES {
        return Err(JwtError::TooLong);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(JwtError::Malformed)?;
    let (header, payload) = signed.split_once('.').ok_or(JwtError::Malformed)?;
    let header = BASE64URL.decode(header).map_err(|_| JwtError::Malformed)?;
    let payload = BASE64URL.decode(payload).map_err(|_| JwtError::Malformed)?;
    let signature = BASE64URL.decode(signature).map_err(|_| JwtError::Malformed)?;
    let header: Header = serde_json::from_slice(&header).map_err(|_| JwtError::Malformed)?;
    if header.alg != "ES256" {
        return Err(JwtError::UnsupportedAlgorithm);
    }
    if header.crit {
        return Err(JwtError::UnknownCritical);
    }
    let typ = header.typ.as_deref().unwrap_or_default();
    if !["at+jwt", "application/at+jwt"].iter().any(|known| typ.eq_ignore_ascii_case(known)) {
        return Err(JwtError::NotAnAccessToken);
    }
    let VerifyingKey(key) = header.kid.as_deref().and_then(key).ok_or(JwtError::UnknownKey)?;
    if signature.len() != SIGNATURE_BYTES || key.verify_sig(signed.as_bytes(), &signature).is_err() {
        return Err(JwtError::BadSignature);
    }
    serde_json::from_slice(&payload).map_err(|_| JwtError::Malformed)
}

#[cfg(test)]
pub(super) mod tests {
    use jsonwebtoken::jwk::JwkSet;
    use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// A usual token's claims.
    pub(in crate::keys) fn claims() -> Claims {
        let id = "ef38f94347e94562b5bb8424a56397d8".to_owned();
        Claims {
            iss: "https://pat.example.com".to_owned(),
            sub: id.clone(),
            aud: "https://pat.example.com".to_owned(),
            iat: 1_800_000_000,
            exp: 4_000_000_000,
            jti: "0000000107070707070707070707070707070707"[..32].to_owned(),
            client_id: id.clone(),
            scope: ScopeClaim::Text("idn:accounts:read sp:scopes:default".to_owned()),
            tenant_id: id.clone(),
            org: "acme".to_owned(),
            pod: "local".to_owned(),
            identity_id: id,
            user_name: "jane".to_owned(),
            authorities: vec!["USER".to_owned(), "CERT_ADMIN".to_owned()],
            strong_auth: false,
            strong_auth_supported: false,
            internal: false,
        }
    }

    fn key() -> SigningKey {
        SigningKey::generate().ok().unwrap().0
    }

    /// Verifies with this key alone.
    fn check(token: &str, key: &SigningKey) -> Result<Claims, JwtError> {
        verify(token, |kid| (kid == key.kid()).then(|| key.verifying()))
    }

    /// A token with any header and payload, signed properly.
    fn signed(key: &SigningKey, header: &str, payload: &str) -> String {
        let text = format!("{}.{}", BASE64URL.encode(header), BASE64URL.encode(payload));
        let signature = key.pair.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", BASE64URL.encode(signature.as_ref()))
    }

    fn header(key: &SigningKey) -> Value {
        json!({"alg": "ES256", "kid": key.kid(), "typ": "at+jwt"})
    }

    #[test]
    fn another_implementation_verifies_our_tokens_from_the_published_key() {
        let key = key();
        let token = key.sign(&claims()).unwrap();
        let jwks: JwkSet = serde_json::from_str(&format!(r#"{{"keys":[{}]}}"#, key.public_jwk())).unwrap();
        let head = jsonwebtoken::decode_header(&token).unwrap();
        assert_eq!(head.typ.as_deref(), Some("at+jwt"));
        let jwk = jwks.find(head.kid.as_deref().unwrap()).unwrap();
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_audience(&["https://pat.example.com"]);
        validation.set_issuer(&["https://pat.example.com"]);
        let read =
            jsonwebtoken::decode::<Value>(&token, &DecodingKey::from_jwk(jwk).unwrap(), &validation).unwrap();
        assert_eq!(read.claims, serde_json::to_value(claims()).unwrap());
        assert_eq!(read.claims["scope"], "idn:accounts:read sp:scopes:default");
        assert_eq!(read.claims.as_object().unwrap().len(), 17);
        // RFC 7638, computed by the other implementation as well.
        assert_eq!(jwk.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).unwrap(), key.kid());
        let stranger: JwkSet =
            serde_json::from_str(&format!(r#"{{"keys":[{}]}}"#, self::key().public_jwk())).unwrap();
        let stranger = DecodingKey::from_jwk(&stranger.keys[0]).unwrap();
        assert!(jsonwebtoken::decode::<Value>(&token, &stranger, &validation).is_err());
    }

    #[test]
    fn we_verify_what_another_implementation_signed() {
        let (key, pkcs8) = SigningKey::generate().ok().unwrap();
        let mut head = jsonwebtoken::Header::new(Algorithm::ES256);
        head.typ = Some("application/AT+JWT".to_owned());
        head.kid = Some(key.kid().to_owned());
        let token = jsonwebtoken::encode(&head, &claims(), &EncodingKey::from_ec_der(&pkcs8)).unwrap();
        assert_eq!(check(&token, &key), Ok(claims()));
    }

    #[test]
    fn a_token_says_what_was_signed() {
        let (key, pkcs8) = SigningKey::generate().ok().unwrap();
        let list = Claims { scope: ScopeClaim::List(vec!["a".to_owned(), "b".to_owned()]), ..claims() };
        for claims in [claims(), list] {
            let token = key.sign(&claims).unwrap();
            assert_eq!(check(&token, &key), Ok(claims.clone()));
            let again = SigningKey::from_pkcs8(&pkcs8).ok().unwrap();
            assert_eq!(again.kid(), key.kid());
            assert_eq!(check(&token, &again), Ok(claims));
        }
        let text = claims().scope;
        assert_eq!(text.iter().collect::<Vec<_>>(), ["idn:accounts:read", "sp:scopes:default"]);
        assert_eq!(ScopeClaim::List(vec!["a".to_owned()]).iter().collect::<Vec<_>>(), ["a"]);
        assert!(SigningKey::from_pkcs8(&pkcs8[1..]).is_err());
    }

    #[test]
    fn the_kid_is_the_thumbprint_and_a_public_key_cannot_take_anothers() {
        let (a, b) = (key(), key());
        assert_eq!(VerifyingKey::from_jwk(a.public_jwk()).ok().unwrap().0, a.kid());
        let stolen = a.public_jwk().replace(a.kid(), b.kid());
        let not_sig = a.public_jwk().replace("\"sig\"", "\"enc\"");
        let short = a.public_jwk().replace("\"x\":\"", "\"x\":\"AA");
        for json in ["", "{}", "[]", &stolen, &not_sig, &short, &a.public_jwk().replace("P-256", "P-384")] {
            assert_eq!(VerifyingKey::from_jwk(json).err(), Some(SigningError::NotAJwk), "{json}");
        }
    }

    #[test]
    fn confused_algorithms_and_headers_are_refused() {
        let key = key();
        let payload = serde_json::to_string(&claims()).unwrap();
        let with = |name: &str, value: Value| {
            let mut header = header(&key);
            header[name] = value;
            signed(&key, &header.to_string(), &payload)
        };
        let without = |name: &str| {
            let mut header = header(&key);
            header.as_object_mut().unwrap().remove(name);
            signed(&key, &header.to_string(), &payload)
        };
        assert_eq!(check(&signed(&key, &header(&key).to_string(), &payload), &key), Ok(claims()));
        let doubled = header(&key).to_string().replacen('{', r#"{"alg":"none","#, 1);
        for (what, token, error) in [
            ("none", with("alg", json!("none")), JwtError::UnsupportedAlgorithm),
            ("no alg", without("alg"), JwtError::Malformed),
            ("another case", with("alg", json!("es256")), JwtError::UnsupportedAlgorithm),
            ("HS256", with("alg", json!("HS256")), JwtError::UnsupportedAlgorithm),
            ("a number", with("alg", json!(1)), JwtError::Malformed),
            ("two algs", signed(&key, &doubled, &payload), JwtError::Malformed),
            ("no typ", without("typ"), JwtError::NotAnAccessToken),
            ("typ JWT", with("typ", json!("JWT")), JwtError::NotAnAccessToken),
            ("crit", with("crit", json!(["exp"])), JwtError::UnknownCritical),
            ("crit null", with("crit", json!(null)), JwtError::UnknownCritical),
            ("no kid", without("kid"), JwtError::UnknownKey),
            ("another kid", with("kid", json!("other")), JwtError::UnknownKey),
            ("no claims", signed(&key, &header(&key).to_string(), "{}"), JwtError::Malformed),
        ] {
            assert_eq!(check(&token, &key), Err(error), "{what}");
        }
        let mut head = jsonwebtoken::Header::new(Algorithm::HS256);
        head.typ = Some("at+jwt".to_owned());
        head.kid = Some(key.kid().to_owned());
        let secret = EncodingKey::from_secret(key.public_jwk().as_bytes());
        let token = jsonwebtoken::encode(&head, &claims(), &secret).unwrap();
        assert_eq!(check(&token, &key), Err(JwtError::UnsupportedAlgorithm));
        let (_, rest) = token.split_once('.').unwrap();
        assert_eq!(check(&format!("{}{rest}", key.prefix), &key), Err(JwtError::BadSignature));
    }

    #[test]
    fn anothers_signature_is_refused() {
        let (ours, theirs) = (key(), key());
        let forged = signed(&theirs, &header(&ours).to_string(), &serde_json::to_string(&claims()).unwrap());
        assert_eq!(check(&forged, &ours), Err(JwtError::BadSignature));
        assert_eq!(check(&theirs.sign(&claims()).unwrap(), &ours), Err(JwtError::UnknownKey));
    }

    #[test]
    fn swapped_cut_and_padded_tokens_are_refused() {
        let key = key();
        let token = key.sign(&claims()).unwrap();
        let parts: Vec<_> = token.split('.').collect();
        let (h, p, s) = (parts[0], parts[1], parts[2]);
        let other = key.sign(&Claims { sub: "other".to_owned(), ..claims() }).unwrap();
        let other_payload = other.split('.').nth(1).unwrap();
        for (what, token, error) in [
            ("empty", String::new(), JwtError::Malformed),
            ("a word", "abc".to_owned(), JwtError::Malformed),
            ("dots", "..".to_owned(), JwtError::Malformed),
            ("two parts", format!("{h}.{p}"), JwtError::Malformed),
            ("four parts", format!("{token}.{s}"), JwtError::Malformed),
            ("a dot more", format!("{token}."), JwtError::Malformed),
            ("swapped", format!("{p}.{h}.{s}"), JwtError::Malformed),
            ("padding", format!("{token}=="), JwtError::Malformed),
            ("a blank", format!("{token} "), JwtError::Malformed),
            ("a line end", format!("{token}\n"), JwtError::Malformed),
            ("the other alphabet", format!("{h}.{p}.{}", "+".repeat(86)), JwtError::Malformed),
            ("no signature", format!("{h}.{p}."), JwtError::BadSignature),
            ("a short signature", format!("{h}.{p}.{}", &s[..84]), JwtError::BadSignature),
            ("a long signature", format!("{h}.{p}.{}", BASE64URL.encode([1; 65])), JwtError::BadSignature),
            ("zeros", format!("{h}.{p}.{}", BASE64URL.encode([0; 64])), JwtError::BadSignature),
            ("another payload", format!("{h}.{other_payload}.{s}"), JwtError::BadSignature),
            ("too long", "a".repeat(TOKEN_BYTES + 1), JwtError::TooLong),
        ] {
            assert_eq!(check(&token, &key), Err(error), "{what}");
        }
        assert_eq!(
            check(&format!("{h}.{other_payload}.{}", other.rsplit('.').next().unwrap()), &key).unwrap().sub,
            "other"
        );
    }

    proptest! {
        #[test]
        fn no_text_is_a_token(text in any::<String>(), parts in prop::collection::vec(any::<Vec<u8>>(), 3)) {
            let encoded = parts.iter().map(|part| BASE64URL.encode(part)).collect::<Vec<_>>().join(".");
            for text in [text, encoded] {
                prop_assert!(verify(&text, |_| None).is_err());
            }
        }

        #[test]
        fn no_changed_character_goes_unseen(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_.-]") {
            let key = key();
            let token = key.sign(&claims()).unwrap();
            let at = at.index(token.len());
            let mut changed = token.clone();
            changed.replace_range(at..=at, &to);
            prop_assume!(changed != token);
            prop_assert!(check(&changed, &key).is_err());
        }
    }
}
