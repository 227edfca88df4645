//! Sealing: version, nonce, ciphertext, tag.

use super::{Key, Keyring, Seal};
use aes_gcm::aead::consts::U12;
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aes::Aes192;
use aes_gcm::{AeadInOut, Aes128Gcm, Aes256Gcm, AesGcm, KeyInit};
use alloc::vec::Vec;
use core::fmt;

/// Bytes before the ciphertext: version and nonce.
const HEAD_BYTES: usize = 1 + NONCE_BYTES;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
/// Version 0 fills the plaintext up to a multiple of this.
const BLOCK_BYTES: usize = 16;
/// What version 1 adds to a message; nothing shorter can be one.
const OVERHEAD_MIN: usize = HEAD_BYTES + TAG_BYTES;

/// AES-GCM with a key of 24 bytes, which has no name of its own there.
type Aes192Gcm = AesGcm<Aes192, U12>;

/// Why sealed bytes stay closed. The texts are memberlist's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// There are none.
    Empty,
    /// A version other than 0 and 1.
    Version(u8),
    /// So few bytes that nothing can be in them.
    Short(usize),
    /// None of the keys fits, or they were changed on their way.
    Keys,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Cannot decrypt empty payload"),
            Self::Version(version) => write!(f, "Unsupported encryption version {version}"),
            Self::Short(bytes) => write!(f, "Payload is too small to decrypt: {bytes}"),
            Self::Keys => f.write_str("No installed keys could decrypt the message"),
        }
    }
}

impl core::error::Error for OpenError {}

/// The cipher of a key.
enum Cipher {
    Aes128(Aes128Gcm),
    Aes192(Aes192Gcm),
    Aes256(Aes256Gcm),
}

impl Cipher {
    fn new(key: &Key) -> Self {
        let bytes = key.as_bytes();
        let known = "a key has one of the three lengths";
        match bytes.len() {
            16 => Self::Aes128(Aes128Gcm::new_from_slice(bytes).expect(known)),
            24 => Self::Aes192(Aes192Gcm::new_from_slice(bytes).expect(known)),
            _ => Self::Aes256(Aes256Gcm::new_from_slice(bytes).expect(known)),
        }
    }

    /// Encrypts in place; the tag.
    fn encrypt(&self, nonce: [u8; NONCE_BYTES], aad: &[u8], text: &mut [u8]) -> [u8; TAG_BYTES] {
        let (nonce, text) = (nonce.into(), InOutBuf::from(text));
        let tag = match self {
            Self::Aes128(cipher) => cipher.encrypt_inout_detached(&nonce, aad, text),
            Self::Aes192(cipher) => cipher.encrypt_inout_detached(&nonce, aad, text),
            Self::Aes256(cipher) => cipher.encrypt_inout_detached(&nonce, aad, text),
        };
        tag.expect("messages are far below the cipher's limit").into()
    }

    /// Decrypts in place; whether the tag holds. If not, `text` is worth nothing.
    fn decrypt(
        &self,
        nonce: [u8; NONCE_BYTES],
        aad: &[u8],
        text: &mut [u8],
        tag: [u8; TAG_BYTES],
    ) -> bool {
        let (nonce, tag, text) = (nonce.into(), tag.into(), InOutBuf::from(text));
        match self {
            Self::Aes128(cipher) => cipher.decrypt_inout_detached(&nonce, aad, text, &tag),
            Self::Aes192(cipher) => cipher.decrypt_inout_detached(&nonce, aad, text, &tag),
            Self::Aes256(cipher) => cipher.decrypt_inout_detached(&nonce, aad, text, &tag),
        }
        .is_ok()
    }
}

/// How many bytes `plain` bytes become when sealed.
pub(crate) const fn sealed_len(version: u8, plain: usize) -> usize {
    OVERHEAD_MIN + plain + padding(version, plain)
}

/// Bytes that version 0 fills up with: 1 to 16.
const fn padding(version: u8, plain: usize) -> usize {
    if version == 0 { BLOCK_BYTES - plain % BLOCK_BYTES } else { 0 }
}

/// Appends `plain`, sealed.
pub(crate) fn seal(how: &Seal, aad: &[u8], plain: &[u8], out: &mut Vec<u8>) {
    out.reserve(sealed_len(how.version, plain.len()));
    out.push(how.version);
    out.extend_from_slice(&how.nonce);
    let start = out.len();
    out.extend_from_slice(plain);
    let padding = padding(how.version, plain.len());
    let fill = u8::try_from(padding).expect("padding is at most a block");
    out.resize(out.len() + padding, fill);
    let tag = Cipher::new(&how.key).encrypt(how.nonce, aad, &mut out[start..]);
    out.extend_from_slice(&tag);
}

/// The plaintext of sealed bytes, by the first key that fits.
pub(crate) fn unseal(keyring: &Keyring, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
    let (&version, rest) = sealed.split_first().ok_or(OpenError::Empty)?;
    let least = match version {
        0 => OVERHEAD_MIN + BLOCK_BYTES,
        1 => OVERHEAD_MIN,
        other => return Err(OpenError::Version(other)),
    };
    let short = OpenError::Short(sealed.len());
    if sealed.len() < least {
        return Err(short);
    }
    let (nonce, rest) = rest.split_first_chunk().ok_or(short)?;
    let (text, tag) = rest.split_last_chunk().ok_or(short)?;
    let mut plain = Vec::with_capacity(text.len());
    for key in keyring.keys() {
        plain.clear();
        plain.extend_from_slice(text);
        if Cipher::new(key).decrypt(*nonce, aad, &mut plain, *tag) {
            if version == 0 {
                strip_padding(&mut plain)?;
            }
            return Ok(plain);
        }
    }
    Err(OpenError::Keys)
}

/// Takes version 0's padding off: its last byte says how much.
fn strip_padding(plain: &mut Vec<u8>) -> Result<(), OpenError> {
    let fill = plain.last().copied().map_or(0, usize::from);
    if fill == 0 || fill > BLOCK_BYTES || fill > plain.len() {
        return Err(OpenError::Keys);
    }
    plain.truncate(plain.len() - fill);
    Ok(())
}
