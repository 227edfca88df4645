//! `Content-Encoding: gzip`, when the client asked for it and it is worth it.

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

/// Below this a compressed body saves less than the work costs.
const WORTH_BYTES: usize = 1024;

/// Whether an `Accept-Encoding` header allows gzip.
pub(super) fn accepts_gzip(accept: &str) -> bool {
    accept.split(',').any(|offer| {
        let (coding, weight) = offer.split_once(';').unwrap_or((offer, ""));
        let refused = matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000");
        matches!(coding.trim(), "gzip" | "*") && !refused
    })
}

/// The body compressed, if that is worth it.
pub(super) fn gzip(body: &Bytes) -> Option<Bytes> {
    if body.len() < WORTH_BYTES {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok().map(Bytes::from)
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

    #[test]
    fn small_bodies_stay_as_they_are() {
        assert_eq!(gzip(&Bytes::from_static(b"small")), None);
        let body = Bytes::from(vec![b'a'; 5000]);
        let packed = gzip(&body).unwrap();
        let mut text = Vec::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut text).unwrap();
        assert_eq!(text, body);
    }
}
