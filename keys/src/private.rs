//! What signs: a private key, from a PEM, from a file, or new.

use std::{fmt, fs, io, io::Write as _, path::Path};

use pem_rfc7468::LineEnding;
use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use secrecy::{ExposeSecret as _, SecretString, zeroize::Zeroizing};

use crate::{KeyError, PublicKey, Signature};

const LABEL: &str = "PRIVATE KEY";

/// What stands before the 32 secret bytes in a PKCS#8 of version 1: RFC 8410 §7.
const PKCS8_V1: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// An Ed25519 private key.
///
/// Nothing prints it. The PKCS#8 bytes are wiped when it is dropped; the numbers that `ring` makes of them are not.
pub struct PrivateKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
    pkcs8: Zeroizing<Vec<u8>>,
}

impl PrivateKey {
    /// Reads a PKCS#8 PEM, version 1 or 2, without a password: what `openssl genpkey -algorithm ed25519` and
    /// [`to_pem`](Self::to_pem) write.
    ///
    /// # Errors
    /// [`KeyError::Private`], saying what was found instead and quoting none of it.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let (label, pkcs8) =
            pem_rfc7468::decode_vec(pem.trim().as_bytes()).map_err(|error| wrong(error.to_string()))?;
        let pkcs8 = Zeroizing::new(pkcs8);
        if label != LABEL {
            return Err(wrong(format!("got a PEM that is labelled {label:?}")));
        }
        Self::from_pkcs8(pkcs8)
    }

    /// The key of these 32 secret bytes (RFC 8032 §5.1.5), for tests that need the same key again: a seed that a person
    /// can write down is one that another can guess.
    ///
    /// # Errors
    /// [`KeyError::Private`], never in practice.
    pub fn from_seed(seed: [u8; 32]) -> Result<Self, KeyError> {
        let seed = Zeroizing::new(seed);
        Self::from_pkcs8(Zeroizing::new([&PKCS8_V1[..], &seed[..]].concat()))
    }

    /// A new key, from the system's random bytes.
    ///
    /// # Errors
    /// [`KeyError::NoRandom`].
    pub fn generate() -> Result<Self, KeyError> {
        // Not `Ed25519KeyPair::generate_pkcs8`: that writes version 2, which OpenSSL 3.0 does not read.
        Self::from_seed(ring::rand::generate(&SystemRandom::new()).map_err(|_| KeyError::NoRandom)?.expose())
    }

    /// Reads the PEM in a file.
    ///
    /// # Errors
    /// [`KeyError::File`] when the file cannot be read, [`KeyError::InFile`] when it holds no key.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let pem = fs::read_to_string(path).map_err(in_file(path))?;
        let pem = Zeroizing::new(pem);
        Self::from_pem(&pem).map_err(|source| KeyError::InFile { path: path.to_owned(), source: Box::new(source) })
    }

    /// Reads the PEM in a file, or makes the file with a new key that only its owner may read. For development: a key
    /// that matters is made once, by a person, who sees to it that there is another copy.
    ///
    /// The file appears whole or not at all. Of several processes that call this at once, one makes the key and all
    /// return it.
    ///
    /// # Errors
    /// [`KeyError::File`] when the file can be neither read nor made, as when its folder is missing;
    /// [`KeyError::InFile`] when it holds no key, and then it is left as it is; [`KeyError::NoRandom`].
    pub fn read_or_make(path: &Path) -> Result<Self, KeyError> {
        match Self::read(path) {
            Err(KeyError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            read => return read,
        }
        match make(path, &Self::generate()?.to_pem()) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(in_file(path)(error)),
            _ => Self::read(path),
        }
    }

    /// The key as a PKCS#8 PEM, to be kept.
    pub fn to_pem(&self) -> SecretString {
        let pem = pem_rfc7468::encode_string(LABEL, LineEnding::LF, &self.pkcs8);
        pem.expect("a known label and a few bytes make a PEM").into()
    }

    /// By what others verify: the public half.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// Signs exactly these bytes. The same bytes always give the same signature.
    pub fn sign(&self, message: &[u8]) -> Signature {
        let signature = self.pair.sign(message);
        let bytes: [u8; 64] = signature.as_ref().try_into().expect("an Ed25519 signature is 64 bytes");
        bytes.into()
    }

    fn from_pkcs8(pkcs8: Zeroizing<Vec<u8>>) -> Result<Self, KeyError> {
        // "Maybe unchecked": version 1 has no public half that could be compared. One that is there is compared.
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pkcs8)
            .map_err(|error| wrong(format!("got another key: {error}")))?;
        let public: [u8; 32] = pair.public_key().as_ref().try_into().expect("an Ed25519 key is 32 bytes");
        Ok(Self { public: PublicKey::from_bytes(public)?, pair, pkcs8 })
    }
}

/// Writes a file that is not there yet, with mode 0600.
fn make(path: &Path, pem: &SecretString) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Made with mode 0600; moved to its name whole, and only if that is still free.
    let mut file = tempfile::Builder::new().prefix(".key-").tempfile_in(folder)?;
    file.write_all(pem.expose_secret().as_bytes())?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path)?;
    Ok(())
}

fn in_file(path: &Path) -> impl Fn(io::Error) -> KeyError {
    move |source| KeyError::File { path: path.to_owned(), source }
}

fn wrong(why: impl Into<String>) -> KeyError {
    KeyError::Private { why: why.into() }
}

/// Shows the public half only.
impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").field("public", &self.public).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use ring::rand::SystemRandom;

    /// RFC 8032 §7.1, TEST 1: secret key, public key, and the signature of no bytes.
    const SEED: &str = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
    const PUBLIC: &str = "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    const SIGNED: &str = "5VZDAMNgrHKQhuLMgG6CioSHfx645dl02HPgZSJJAVVfuIIVkKM7rMYeOXAc+bRr0lv18FlbviRlUUFDjnoQCw==";

    fn pem(pkcs8: &[u8]) -> String {
        pem_rfc7468::encode_string(LABEL, LineEnding::LF, pkcs8).expect("a PEM")
    }

    /// What `openssl genpkey -algorithm ed25519` writes for the seed of the test vector.
    fn openssls() -> String {
        pem(&[&PKCS8_V1[..], &STANDARD.decode(SEED).expect("base64")].concat())
    }

    #[test]
    fn openssls_key_signs_as_the_standard_says() {
        let key = PrivateKey::from_pem(&openssls()).expect("a key");
        assert_eq!(key.public().to_string(), PUBLIC);
        assert_eq!(key.sign(b"").to_string(), SIGNED);
        assert!(key.public().verify(b"", &SIGNED.parse().expect("a signature")));
        assert_eq!(key.to_pem().expose_secret(), openssls());
    }

    #[test]
    fn a_key_of_version_2_is_read_and_its_halves_are_compared() {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        let key = PrivateKey::from_pem(&pem(pkcs8.as_ref())).expect("a key");
        assert!(key.public().verify(b"m", &key.sign(b"m")));
        assert_eq!(PrivateKey::from_pem(key.to_pem().expose_secret()).expect("a key").public(), key.public());

        let mut other_half = pkcs8.as_ref().to_vec();
        *other_half.last_mut().expect("bytes") ^= 1;
        assert!(matches!(PrivateKey::from_pem(&pem(&other_half)), Err(KeyError::Private { .. })));
    }

    #[test]
    fn a_new_key_is_another_one_and_survives_its_pem() {
        let [one, two] = [(); 2].map(|()| PrivateKey::generate().expect("a key"));
        assert_ne!(one.public(), two.public());
        let again = PrivateKey::from_pem(one.to_pem().expose_secret()).expect("a key");
        assert_eq!(again.public(), one.public());
        assert_eq!(again.sign(b"m"), one.sign(b"m"));
    }

    #[test]
    fn debug_shows_the_public_half_only() {
        let key = PrivateKey::from_pem(&openssls()).expect("a key");
        assert_eq!(format!("{key:?}"), format!("PrivateKey {{ public: {PUBLIC}, .. }}"));
        assert!(!format!("{:?}", key.to_pem()).contains("MC4CAQ"));
    }

    #[test]
    fn what_is_no_ed25519_private_key_is_refused_unquoted() {
        let good = openssls();
        let x25519 = [&PKCS8_V1[..11], &[0x6e], &PKCS8_V1[12..], &[7; 32]].concat();
        for bad in [
            String::new(),
            "not a pem".to_owned(),
            good.replace(LABEL, "EC PRIVATE KEY"),
            good.replace(LABEL, "ENCRYPTED PRIVATE KEY"),
            good.replace("MC4C", "MC4D"),
            good[..good.len() / 2].to_owned(),
            pem(&x25519),
            pem(&PKCS8_V1),
        ] {
            let refused = PrivateKey::from_pem(&bad).expect_err(&bad).to_string();
            assert!(refused.starts_with("not a private key: expected the PKCS#8 PEM of an Ed25519 key"), "{refused}");
            assert!(!refused.contains(&good[40..60]), "{refused}");
        }
    }

    #[test]
    fn a_file_is_made_once_and_read_ever_after() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key.pem");
        let made = PrivateKey::read_or_make(&path).expect("a key").public();
        assert_eq!(PrivateKey::read_or_make(&path).expect("a key").public(), made);
        assert_eq!(PrivateKey::read(&path).expect("a key").public(), made);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing else is left behind");
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_may_read_a_file_that_was_made() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key.pem");
        PrivateKey::read_or_make(&path).expect("a key");
        assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn many_that_make_one_file_at_once_agree_on_the_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key.pem");
        let keys = std::thread::scope(|scope| {
            let make = || PrivateKey::read_or_make(&path).expect("a key").public();
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(make)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect::<Vec<_>>()
        });
        assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    }

    #[test]
    fn a_file_that_holds_no_key_is_named_and_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key.pem");
        fs::write(&path, "not a key").expect("a file");
        let refused = PrivateKey::read_or_make(&path).expect_err("refused").to_string();
        assert!(refused.contains("key.pem: not a private key: expected "), "{refused}");
        assert_eq!(fs::read_to_string(&path).expect("a file"), "not a key");
    }

    #[test]
    fn a_folder_that_is_missing_is_an_error_that_names_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("none").join("key.pem");
        for refused in [PrivateKey::read_or_make(&path), PrivateKey::read(&path)] {
            assert!(matches!(refused, Err(KeyError::File { path: named, .. }) if named == path));
        }
    }
}
