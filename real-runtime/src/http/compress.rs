//! `Content-Encoding: gzip`, when the client asked for it and it is worth it.

use bytes::Bytes;
use flate2::write::GzEncoder;
use flate2::{Compression, Crc};
use std::io::Write;

/// Below this compressing saves less than the work costs: the body goes into the envelope as it is.
const WORTH_BYTES: usize = 1024;

/// Whether an `Accept-Encoding` header allows gzip.
pub(super) fn accepts_gzip(accept: &str) -> bool {
    accept.split(',').any(|offer| {
        let (coding, weight) = offer.split_once(';').unwrap_or((offer, ""));
        let refused = matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000");
        matches!(coding.trim(), "gzip" | "*") && !refused
    })
}

/// The body in a gzip envelope, compressed if that is worth it; an empty one stays as it is.
pub(super) fn gzip(body: &Bytes) -> Option<Bytes> {
    if body.is_empty() {
        return None;
    }
    if body.len() < WORTH_BYTES {
        return stored(body);
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

/// The envelope around one block that is not compressed.
fn stored(body: &Bytes) -> Option<Bytes> {
    const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    const LAST_BLOCK_AS_IT_IS: u8 = 1;
    let length = u16::try_from(body.len()).ok()?;
    let mut sum = Crc::new();
    sum.update(body);
    let mut packed = Vec::with_capacity(body.len() + 23);
    packed.extend_from_slice(&HEAD);
    packed.push(LAST_BLOCK_AS_IT_IS);
    packed.extend_from_slice(&length.to_le_bytes());
    packed.extend_from_slice(&(!length).to_le_bytes());
    packed.extend_from_slice(body);
    packed.extend_from_slice(&sum.sum().to_le_bytes());
    packed.extend_from_slice(&u32::from(length).to_le_bytes());
    Some(packed.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn only_who_asks_gets_it() {
        assert!(accepts_gzip("gzip"));
        assert!(accepts_gzip("deflate, gzip;q=0.5"));
        assert!(accepts_gzip("*"));
        assert!(!accepts_gzip("identity"));
        assert!(!accepts_gzip("gzip;q=0"));
    }

    fn opened(packed: &Bytes) -> Vec<u8> {
        let mut text = Vec::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut text).unwrap();
        text
    }

    #[test]
    fn bodies_come_out_as_they_went_in() {
        assert_eq!(gzip(&Bytes::new()), None);
        for body in [Bytes::from_static(b"small"), Bytes::from(vec![b'a'; 5000])] {
            assert_eq!(opened(&gzip(&body).unwrap()), body);
        }
    }
}
