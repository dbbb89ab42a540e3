//! Secrets: the clear ones cannot print themselves, the kept ones are hashes.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::clock::Entropy;

/// Random bytes of a secret; the last four of its 32 bytes are their checksum.
const RANDOM_BYTES: usize = 28;

/// A secret in the clear: a PAT's, or what somebody sent in the place of one.
///
/// It has no `Debug`, `Display` or `Serialize`; [`Secret::expose`] is the only way to its text, and is called
/// where the create answer and `bootstrap.json` are written, nowhere else.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret(String);

impl Secret {
    /// A new PAT secret: 64 lowercase hex digits, which are 28 random bytes and their CRC-32 (IEEE, big-endian).
    /// The checksum lets scanners for leaked secrets tell a real one from a look-alike without asking.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; RANDOM_BYTES + 4];
        entropy.fill(&mut bytes[..RANDOM_BYTES]);
        let checksum = crc32fast::hash(&bytes[..RANDOM_BYTES]);
        bytes[RANDOM_BYTES..].copy_from_slice(&checksum.to_be_bytes());
        let secret = Self(hex::encode(bytes));
        bytes.zeroize();
        secret
    }

    /// What somebody presented as a secret; it need not look like one.
    pub fn presented(text: String) -> Self {
        Self(text)
    }

    /// Whether it has the form and the checksum of a PAT secret.
    pub fn is_well_formed(&self) -> bool {
        let mut bytes = [0; RANDOM_BYTES + 4];
        let lowercase = self.0.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let well_formed = lowercase
            && hex::decode_to_slice(&self.0, &mut bytes).is_ok()
            && bytes[RANDOM_BYTES..] == crc32fast::hash(&bytes[..RANDOM_BYTES]).to_be_bytes();
        bytes.zeroize();
        well_formed
    }

    /// Its hash, to keep or to compare. A secret has 224 bits of its own, so one pass of SHA-256 cannot be
    /// searched and a slow hash would only slow the exchange.
    pub fn hash(&self) -> SecretHash {
        SecretHash(Sha256::digest(self.0.as_bytes()).into())
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// The SHA-256 of a secret: all that the database keeps.
#[derive(Clone, Copy)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// Compared with an unknown id's secret, so that it costs what a known id's costs. No secret has it.
    pub const NOBODYS: Self = Self([0; 32]);

    /// The hash of these bytes, as the database kept them.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether `presented` is the secret, in a time that does not depend on where they differ.
    pub fn matches(&self, presented: &Secret) -> bool {
        self.0.ct_eq(&presented.hash().0).into()
    }
}

/// Random bytes of a session token.
const SESSION_BYTES: usize = 32;

/// What a browser shows to be taken for a web session: the value of its cookie. Cannot print itself.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SessionToken(String);

impl SessionToken {
    /// A new one: 64 lowercase hex digits, 256 random bits.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; SESSION_BYTES];
        entropy.fill(&mut bytes);
        let token = Self(hex::encode(bytes));
        bytes.zeroize();
        token
    }

    /// What a browser presented; `None` when it does not look like a session token.
    pub fn presented(text: &str) -> Option<Self> {
        let lowercase = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        (lowercase && text.len() == 2 * SESSION_BYTES).then(|| Self(text.to_owned()))
    }

    /// Its hash: the session's key in the database. With 256 bits of its own one pass of SHA-256 is enough.
    pub fn hash(&self) -> SessionHash {
        SessionHash(Sha256::digest(self.0.as_bytes()).into())
    }

    /// What a form of this session carries, so that a page of another site cannot send it (OWASP: a token bound to the
    /// session). It does not lead back to the session token.
    pub fn csrf(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"patron session form\0");
        hash.update(self.0.as_bytes());
        hex::encode(hash.finalize())
    }

    /// The text itself, for the cookie.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// The SHA-256 of a session token: all that the database keeps of it. `Debug` shows nothing of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionHash([u8; 32]);

impl SessionHash {
    /// The hash of these bytes, as the database kept them.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for SessionHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionHash")
    }
}

/// A person's password in the clear: cannot print itself.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Password(String);

impl Password {
    /// What somebody typed.
    pub fn typed(text: String) -> Self {
        Self(text)
    }

    /// A random one, for bootstrap: 24 hex digits, 96 bits.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; 12];
        entropy.fill(&mut bytes);
        let password = Self(hex::encode(bytes));
        bytes.zeroize();
        password
    }

    /// The text itself, for the password hash.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting;
    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            for (i, byte) in bytes.iter_mut().enumerate() {
                *byte = u8::try_from(i).unwrap();
            }
        }
    }

    #[test]
    fn a_secret_is_28_bytes_and_their_crc32() {
        let secret = Secret::generate(&Counting);
        // python3 -c 'import zlib; print("%08x" % zlib.crc32(bytes(range(28))))'
        assert_eq!(secret.expose(), "000102030405060708090a0b0c0d0e0f101112131415161718191a1bd708085d");
        assert!(secret.is_well_formed());
    }

    #[test]
    fn one_changed_digit_is_no_secret() {
        let good = Secret::generate(&Counting);
        for at in 0..64 {
            let mut text = good.expose().to_owned();
            let other = if &text[at..=at] == "0" { "1" } else { "0" };
            text.replace_range(at..=at, other);
            let bad = Secret::presented(text);
            assert!(!bad.is_well_formed(), "digit {at}");
            assert!(!good.hash().matches(&bad), "digit {at}");
        }
        assert!(!Secret::presented(good.expose().to_uppercase()).is_well_formed());
        assert!(!Secret::presented(String::new()).is_well_formed());
    }

    #[test]
    fn a_session_token_is_32_bytes_and_nothing_else_is_one() {
        let token = SessionToken::generate(&Counting);
        assert_eq!(token.expose(), "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
        let again = SessionToken::presented(token.expose()).unwrap();
        assert_eq!((again.hash(), again.csrf()), (token.hash(), token.csrf()));
        for wrong in
            ["", &token.expose()[1..], &token.expose().to_uppercase(), &"g".repeat(64), &"é".repeat(32)]
        {
            assert!(SessionToken::presented(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_form_s_token_is_of_its_session_and_tells_nothing_of_it() {
        let token = SessionToken::generate(&Counting);
        // python3 -c 'import hashlib; t = bytes(range(32)).hex().encode();
        //   print(hashlib.sha256(b"patron session form\0" + t).hexdigest())'
        assert_eq!(token.csrf(), "256fd0912ffd9250459f7e5a198c78c0549f7e99422a8312b4f09d816e3daaf7");
        assert_ne!(token.csrf(), hex::encode(token.hash().as_bytes()));
        assert_eq!(format!("{:?}", token.hash()), "SessionHash");
    }

    #[test]
    fn only_the_same_secret_matches_its_hash() {
        let secret = Secret::generate(&Counting);
        assert!(secret.hash().matches(&secret));
        assert!(!SecretHash::NOBODYS.matches(&secret));
        assert!(!SecretHash::NOBODYS.matches(&Secret::presented(String::new())));
    }
}
