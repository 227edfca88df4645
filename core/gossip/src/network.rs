//! Networks: the addresses that begin alike.

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

/// A network, as `10.0.0.0/8` or `fd00::/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    /// How many leading bits count.
    bits: u8,
}

/// The text names no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoNetwork;

impl fmt::Display for NoNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address, a slash and a number of bits are wanted")
    }
}

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let (address, bits) = text.split_once('/').ok_or(NoNetwork)?;
        let address: IpAddr = address.parse().map_err(|_| NoNetwork)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let digits = !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit());
        let bits = bits.parse().ok().filter(|bits| digits && *bits <= most).ok_or(NoNetwork)?;
        Ok(Self { address, bits })
    }
}

impl Network {
    /// Whether `address` is in it. IPv4 addresses are themselves in IPv6's clothes, too.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(other)) => {
                alike(ours.to_bits().into(), other.to_bits().into(), 32 - self.bits)
            }
            (IpAddr::V6(ours), IpAddr::V6(other)) => {
                alike(ours.to_bits(), other.to_bits(), 128 - self.bits)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// Whether two numbers differ in the lowest `free` bits at most.
fn alike(one: u128, other: u128, free: u8) -> bool {
    (one ^ other).checked_shr(u32::from(free)).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_begin_alike_are_in_it() {
        for (network, inside, outside) in [
            ("10.1.0.0/16", "10.1.255.1", "10.2.0.1"),
            ("10.1.2.3/32", "10.1.2.3", "10.1.2.2"),
            ("10.9.9.9/8", "::ffff:10.0.0.1", "11.0.0.1"),
            ("fd00::/8", "fdff::1", "fe00::1"),
            ("0.0.0.0/0", "200.1.1.1", "::1"),
            ("::/0", "::1", "1.1.1.1"),
        ] {
            let network: Network = network.parse().unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{network:?} {inside}");
            assert!(!network.contains(outside.parse().unwrap()), "{network:?} {outside}");
        }
        for text in ["", "nope", "1.2.3.4", "1.2.3.4/33", "1.2.3.4/", "::/129", "1.2.3/8", "::/+1"]
        {
            assert_eq!(text.parse::<Network>(), Err(NoNetwork), "{text}");
        }
    }
}
