//! The master key: what the signing keys are sealed under while the database keeps them.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest::{self, SHA256};
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk, Salt};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::alphabet::{self, Alphabet};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use patron_core::clock::Entropy;
use zeroize::Zeroizing;

use crate::limits::MASTER_KEY_FILE_BYTES;

/// Bytes of the key.
const KEY_BYTES: usize = 32;
/// The first byte of what is sealed: how to read the rest. Format 1 is this byte, four bytes of the master key's
/// fingerprint, the nonce, and the ciphertext with its tag.
const FORMAT: u8 = 1;
/// Bytes of a fingerprint: enough to tell an operator's keys apart, of no use to find one.
const FINGERPRINT_BYTES: usize = 4;
/// Bytes before the nonce.
const HEADER_BYTES: usize = 1 + FINGERPRINT_BYTES;

const STANDARD: GeneralPurpose = lenient(&alphabet::STANDARD);
const URL_SAFE: GeneralPurpose = lenient(&alphabet::URL_SAFE);

/// Base64 with or without padding.
const fn lenient(alphabet: &Alphabet) -> GeneralPurpose {
    GeneralPurpose::new(
        alphabet,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    )
}

/// Why there is no master key, or why it does not open something. No text holds any of the key.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The text is no key.
    #[error("the master key must be 32 bytes, written as 64 hex digits or in Base64")]
    NotAKey,
    /// The key file holds no key.
    #[error("{path} holds no master key: it must be 32 bytes, written as 64 hex digits or in Base64")]
    NotAKeyFile {
        /// The key file.
        path: PathBuf,
    },
    /// The key file does not exist, and none may be made.
    #[error("the key file {path} does not exist")]
    NoFile {
        /// The key file.
        path: PathBuf,
    },
    /// Others than its owner may read the key file.
    #[error(
        "others than its owner may read or write the key file {path} (mode {mode:04o}): set its mode to 0600, or give \
         the key in PATRON_MASTER_KEY"
    )]
    Exposed {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The key file cannot be read or written.
    #[error("cannot {what} the key file {path}: {cause}")]
    File {
        /// What was tried.
        what: &'static str,
        /// The key file.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// It was sealed under another master key.
    #[error("sealed under the master key {sealed_under}, but the one given is {given}")]
    WrongKey {
        /// The fingerprint of the master key that would open it.
        sealed_under: Fingerprint,
        /// The fingerprint of the one that was tried.
        given: Fingerprint,
    },
    /// It is cut short, changed, or belongs elsewhere.
    #[error("what was sealed under the master key has been altered")]
    Altered,
    /// A later version of Patron sealed it.
    #[error("sealed in format {0}, which this version of Patron does not know")]
    UnknownFormat(u8),
    /// The cryptographic library failed.
    #[error("the cryptographic library failed to seal")]
    Library,
}

/// Tells master keys apart without telling anything about them: eight hex digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; FINGERPRINT_BYTES]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// A 256-bit key for AES-256-GCM. The library that holds it wipes it; it has no `Debug`.
pub struct MasterKey {
    key: LessSafeKey,
    /// What keys for other purposes are derived from (RFC 5869).
    derives: Prk,
    fingerprint: Fingerprint,
}

impl MasterKey {
    fn from_bytes(bytes: &[u8; KEY_BYTES]) -> Result<Self, MasterKeyError> {
        let mut hash = digest::Context::new(&SHA256);
        hash.update(b"patron master key fingerprint\0");
        hash.update(bytes);
        let mut fingerprint = [0; FINGERPRINT_BYTES];
        fingerprint.copy_from_slice(&hash.finish().as_ref()[..FINGERPRINT_BYTES]);
        let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| MasterKeyError::Library)?;
        let derives = Salt::new(HKDF_SHA256, b"patron derived keys").extract(bytes);
        Ok(Self { key: LessSafeKey::new(key), derives, fingerprint: Fingerprint(fingerprint) })
    }

    /// Reads a key as an operator writes it: 64 hex digits, or 32 bytes in Base64 (either alphabet, padded or
    /// not); blanks around it are ignored.
    ///
    /// # Errors
    /// [`MasterKeyError::NotAKey`] for anything else.
    pub fn from_text(text: &str) -> Result<Self, MasterKeyError> {
        let text = text.trim();
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        if text.len() == 2 * KEY_BYTES {
            hex::decode_to_slice(text, bytes.as_mut_slice()).map_err(|_| MasterKeyError::NotAKey)?;
        } else {
            let decoded = STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).map(Zeroizing::new);
            let decoded = decoded.ok().filter(|decoded| decoded.len() == KEY_BYTES);
            bytes.copy_from_slice(&decoded.ok_or(MasterKeyError::NotAKey)?);
        }
        Self::from_bytes(&bytes)
    }

    /// Reads the key file.
    ///
    /// # Errors
    /// [`MasterKeyError::NoFile`], [`MasterKeyError::Exposed`] when others than its owner have any permission on
    /// it, [`MasterKeyError::NotAKeyFile`] or [`MasterKeyError::File`].
    pub fn read(path: &Path) -> Result<Self, MasterKeyError> {
        let failed = |cause| MasterKeyError::File { what: "read", path: path.to_owned(), cause };
        let file = File::open(path).map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => MasterKeyError::NoFile { path: path.to_owned() },
            _ => failed(cause),
        })?;
        // Asked of the open file, so that it is the one that is read.
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(MasterKeyError::Exposed { path: path.to_owned(), mode });
        }
        let mut text =
            Zeroizing::new(String::with_capacity(usize::try_from(MASTER_KEY_FILE_BYTES).unwrap_or_default()));
        let read = file.take(MASTER_KEY_FILE_BYTES).read_to_string(&mut text);
        let no_key = || MasterKeyError::NotAKeyFile { path: path.to_owned() };
        read.map_err(
            |cause| if cause.kind() == io::ErrorKind::InvalidData { no_key() } else { failed(cause) },
        )?;
        Self::from_text(&text).map_err(|_| no_key())
    }

    /// Reads the key file, or makes one with a random key and mode 0600 when it does not exist. The folder must
    /// exist. Of two processes that make one at once, both get the same key.
    ///
    /// # Errors
    /// As [`MasterKey::read`], except for [`MasterKeyError::NoFile`].
    pub fn read_or_create(path: &Path, entropy: &dyn Entropy) -> Result<Self, MasterKeyError> {
        match Self::read(path) {
            Err(MasterKeyError::NoFile { .. }) => {
                create(path, entropy).map_err(|cause| MasterKeyError::File {
                    what: "create",
                    path: path.to_owned(),
                    cause,
                })?;
                Self::read(path)
            }
            read => read,
        }
    }

    /// Tells it apart from other keys.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// A key for HMAC-SHA-256 that only this master key gives, another one for each `label`.
    ///
    /// # Errors
    /// [`MasterKeyError::Library`].
    pub fn mac_key(&self, label: &[u8]) -> Result<hmac::Key, MasterKeyError> {
        let label = [label];
        let derived = self.derives.expand(&label, hmac::HMAC_SHA256).map_err(|_| MasterKeyError::Library)?;
        Ok(derived.into())
    }

    /// Encrypts and authenticates `plaintext`. Only [`MasterKey::open`] with the same `aad`, which names what is
    /// sealed, gives it back.
    ///
    /// The nonce is random: far fewer than 2^32 seals are made under one key (NIST SP 800-38D section 8.3).
    ///
    /// # Errors
    /// [`MasterKeyError::Library`].
    pub fn seal(
        &self,
        plaintext: &[u8],
        aad: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, MasterKeyError> {
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        let mut header = [FORMAT; HEADER_BYTES];
        header[1..].copy_from_slice(&self.fingerprint.0);
        let aad = Aad::from([&header, aad].concat());
        let mut text = Zeroizing::new(plaintext.to_vec());
        let tag = self
            .key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad, &mut text)
            .map_err(|_| MasterKeyError::Library)?;
        Ok([&header, &nonce[..], &text, tag.as_ref()].concat())
    }

    /// Gives back what [`MasterKey::seal`] sealed.
    ///
    /// # Errors
    /// [`MasterKeyError::UnknownFormat`], [`MasterKeyError::WrongKey`] or [`MasterKeyError::Altered`].
    pub fn open(&self, sealed: &[u8], aad: &[u8]) -> Result<Zeroizing<Vec<u8>>, MasterKeyError> {
        match sealed.first() {
            Some(&FORMAT) => (),
            Some(&other) => return Err(MasterKeyError::UnknownFormat(other)),
            None => return Err(MasterKeyError::Altered),
        }
        let (header, rest) = sealed.split_first_chunk::<HEADER_BYTES>().ok_or(MasterKeyError::Altered)?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>().ok_or(MasterKeyError::Altered)?;
        if header[1..] != self.fingerprint.0 {
            let mut sealed_under = [0; FINGERPRINT_BYTES];
            sealed_under.copy_from_slice(&header[1..]);
            return Err(MasterKeyError::WrongKey {
                sealed_under: Fingerprint(sealed_under),
                given: self.fingerprint,
            });
        }
        let aad = Aad::from([header, aad].concat());
        let mut text = Zeroizing::new(text.to_vec());
        let length = self
            .key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut text)
            .map_err(|_| MasterKeyError::Altered)?
            .len();
        text.truncate(length);
        Ok(text)
    }
}

/// Makes a key file, unless there is one by now. It appears whole or not at all: it is written under another name,
/// and then linked, which never replaces a file.
fn create(path: &Path, entropy: &dyn Entropy) -> io::Result<()> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    let mut suffix = [0; 8];
    entropy.fill(key.as_mut_slice());
    entropy.fill(&mut suffix);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", hex::encode(suffix)));
    let unfinished = path.with_file_name(name);
    let text = Zeroizing::new(hex::encode(key.as_slice()));
    let made = write_new(&unfinished, text.as_bytes()).and_then(|()| fs::hard_link(&unfinished, path));
    let removed = fs::remove_file(&unfinished);
    match made {
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => removed?,
        Err(cause) => return Err(cause),
        Ok(()) => removed?,
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Writes a new file of mode 0600 and waits until it is on the disk.
fn write_new(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text)?;
    file.write_all(b"\n")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use proptest::prelude::*;

    use super::*;

    /// Other bytes each time, the same ones each run.
    struct Counting(AtomicU8);

    impl Counting {
        fn new() -> Self {
            Self(AtomicU8::new(0))
        }
    }

    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill_with(|| self.0.fetch_add(1, Ordering::Relaxed));
        }
    }

    fn key(byte: u8) -> MasterKey {
        MasterKey::from_bytes(&[byte; 32]).ok().unwrap()
    }

    #[test]
    fn a_key_is_64_hex_digits_or_32_bytes_in_base64() {
        let hex = "fb".repeat(32);
        let standard = STANDARD.encode([0xfb; 32]);
        let url = URL_SAFE.encode([0xfb; 32]);
        assert_ne!(standard, url);
        let unpadded = url.trim_end_matches('=').to_owned();
        for text in [hex.to_uppercase(), format!(" {hex}\n"), standard, url, unpadded, hex] {
            let key = MasterKey::from_text(&text).ok().unwrap();
            assert_eq!(key.fingerprint(), self::key(0xfb).fingerprint(), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_without_saying_it_back() {
        let hex = "ab".repeat(32);
        for text in [
            "",
            "password",
            &hex[1..],
            &format!("{hex}a"),
            &hex.replace('a', "g"),
            &"ab".repeat(31),
            &STANDARD.encode([1; 31]),
            &STANDARD.encode([1; 33]),
        ] {
            let error = MasterKey::from_text(text).err().unwrap();
            assert!(matches!(error, MasterKeyError::NotAKey), "{text}");
            assert!(text.is_empty() || !format!("{error} {error:?}").contains(text));
        }
    }

    #[test]
    fn a_fingerprint_is_of_the_key_and_stays_the_same() {
        // In Python: hashlib.sha256(b"patron master key fingerprint\0" + b"\1" * 32).hexdigest()[:8]
        assert_eq!(key(1).fingerprint().to_string(), "5d10cc5b");
        assert_ne!(key(1).fingerprint(), key(2).fingerprint());
    }

    #[test]
    fn what_is_sealed_opens_under_the_same_key_and_name_alone() {
        let entropy = Counting::new();
        let sealed = key(1).seal(b"private", b"kid", &entropy).unwrap();
        assert_eq!(key(1).open(&sealed, b"kid").unwrap().as_slice(), b"private");
        assert!(!sealed.windows(7).any(|window| window == b"private"));
        assert_ne!(sealed, key(1).seal(b"private", b"kid", &entropy).unwrap(), "the nonce must not repeat");
        assert!(matches!(key(1).open(&sealed, b"kid2"), Err(MasterKeyError::Altered)));
        let error = key(2).open(&sealed, b"kid").unwrap_err();
        let told = format!(
            "sealed under the master key {}, but the one given is {}",
            key(1).fingerprint(),
            key(2).fingerprint()
        );
        assert_eq!(error.to_string(), told);
    }

    #[test]
    fn a_changed_or_shortened_blob_never_opens() {
        let sealed = key(1).seal(b"private", b"kid", &Counting::new()).unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            let error = key(1).open(&changed, b"kid").unwrap_err();
            let expected = match at {
                0 => matches!(error, MasterKeyError::UnknownFormat(0)),
                1..=4 => matches!(error, MasterKeyError::WrongKey { .. }),
                _ => matches!(error, MasterKeyError::Altered),
            };
            assert!(expected, "byte {at}: {error}");
            assert!(key(1).open(&sealed[..at], b"kid").is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_key_file_is_made_once_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        assert!(matches!(MasterKey::read(&path), Err(MasterKeyError::NoFile { .. })));
        let entropy = Counting::new();
        let made = MasterKey::read_or_create(&path, &entropy).ok().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        let again = MasterKey::read_or_create(&path, &entropy).ok().unwrap();
        assert_eq!(made.fingerprint(), again.fingerprint());
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n");
        // Somebody else was faster: what is there stays.
        create(&path, &entropy).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no unfinished file is left");
    }

    #[test]
    fn a_key_file_that_others_can_read_or_that_holds_no_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        MasterKey::read_or_create(&path, &Counting::new()).ok().unwrap();
        for mode in [0o640, 0o604, 0o620, 0o601] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = MasterKey::read_or_create(&path, &Counting::new()).err().unwrap();
            assert!(error.to_string().contains(&format!("(mode {mode:04o})")), "{error}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert!(MasterKey::read(&path).is_ok());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        for text in [&b""[..], b"nonsense", b"\xff\xfe", &[b'a'; 5_000]] {
            fs::write(&path, text).unwrap();
            let error = MasterKey::read_or_create(&path, &Counting::new()).err().unwrap();
            assert!(matches!(error, MasterKeyError::NotAKeyFile { .. }), "{error}");
        }
        assert!(matches!(
            MasterKey::read(folder.path()),
            Err(MasterKeyError::Exposed { .. } | MasterKeyError::File { .. })
        ));
        let nowhere = folder.path().join("missing/master.key");
        assert!(matches!(
            MasterKey::read_or_create(&nowhere, &Counting::new()),
            Err(MasterKeyError::File { .. })
        ));
    }

    proptest! {
        #[test]
        fn whatever_is_sealed_opens(text in any::<Vec<u8>>(), aad in any::<Vec<u8>>()) {
            let sealed = key(3).seal(&text, &aad, &Counting::new()).unwrap();
            let opened = key(3).open(&sealed, &aad).unwrap();
            prop_assert_eq!(opened.as_slice(), text);
        }

        #[test]
        fn no_blob_or_text_breaks_it(blob in any::<Vec<u8>>(), text in any::<String>()) {
            let _ = key(3).open(&blob, b"");
            let _ = MasterKey::from_text(&text);
        }
    }
}
