//! Identifiers: 16 random bytes, written as 32 lowercase hex digits.

use std::fmt;

use crate::clock::Entropy;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The id made of these bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// A new id.
            pub fn random(entropy: &dyn Entropy) -> Self {
                let mut bytes = [0; 16];
                entropy.fill(&mut bytes);
                Self(bytes)
            }

            /// Reads 32 lowercase hex digits; anything else names nothing.
            pub fn parse(text: &str) -> Option<Self> {
                let lowercase = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
                let mut bytes = [0; 16];
                (text.bytes().all(lowercase) && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(Self(bytes))
            }

            /// Its bytes, as the database keeps them.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0; 32];
                // 16 bytes are always 32 digits, which are ASCII.
                let _ = hex::encode_to_slice(self.0, &mut text);
                f.write_str(std::str::from_utf8(&text).unwrap_or_default())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    )*};
}

ids! {
    /// Names a PAT; the client sends it as `client_id` (RFC 6749 section 2.2).
    PatId;
    /// Names an identity: a person or a service that owns PATs.
    IdentityId;
    /// Names a tenant to the outside.
    TenantId;
    /// Names an audit event.
    EventId;
    /// Names one request, in the answer (`SLPT-Request-ID`), the log and the audit trail.
    TrackingId;
    /// Names an access token: the JWT's `jti` (RFC 7519 section 4.1.7).
    ///
    /// Its first four bytes are the generation of the identity when the token was issued, big-endian: an
    /// identity that is disabled moves to the next generation, and what was issued before stays dead.
    TokenId;
    /// Names a running server among those of one database; made anew at each start.
    NodeId;
}

impl TokenId {
    /// A new id for an access token of an identity in this generation.
    pub fn random_for(generation: u32, entropy: &dyn Entropy) -> Self {
        let mut id = Self::random(entropy);
        id.0[..4].copy_from_slice(&generation.to_be_bytes());
        id
    }

    /// The generation of the identity for which the token was issued.
    pub fn generation(&self) -> u32 {
        u32::from_be_bytes([self.0[0], self.0[1], self.0[2], self.0[3]])
    }
}

/// A tenant inside the database: small, and never shown. Every query carries one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantKey(pub i64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_32_lowercase_hex_digits_are_an_id() {
        let text = "ef38f94347e94562b5bb8424a56397d8";
        assert_eq!(PatId::parse(text).unwrap().to_string(), text);
        for wrong in
            ["", "EF38F94347E94562B5BB8424A56397D8", "ef38f943-47e9-4562-b5bb-8424a56397d8", &text[1..], "me"]
        {
            assert_eq!(PatId::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_token_id_carries_its_generation() {
        struct Sevens;
        impl Entropy for Sevens {
            fn fill(&self, bytes: &mut [u8]) {
                bytes.fill(7);
            }
        }
        assert_eq!(TokenId::random_for(0x0102_0304, &Sevens).to_string(), "01020304070707070707070707070707");
        assert_eq!(TokenId::random_for(9, &Sevens).generation(), 9);
    }
}
