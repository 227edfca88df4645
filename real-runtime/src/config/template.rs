//! Addresses that a machine finds for itself: the templates of go-sockaddr that operators write
//! (`{{ GetInterfaceIP "eth0" }}`), as far as they name one kind of address.
//! <https://developer.hashicorp.com/consul/docs/agent/config/config-files#bind_addr>

use std::net::{IpAddr, Ipv4Addr, UdpSocket};

/// An address of this machine and the interface it belongs to.
type Own = (String, IpAddr);

/// `text` with its templates filled in; several addresses stand apart by blanks.
///
/// # Errors
/// The template is not known, or no address of this machine fits it. `key` is named.
pub(super) fn resolved(key: &str, text: &str) -> Result<String, String> {
    if !text.contains("{{") {
        return Ok(text.to_owned());
    }
    fill(text, &own_addresses()).map_err(|reason| format!("{key}: {reason}"))
}

/// The address this machine would use to reach others. Nothing is sent.
pub(super) fn outgoing() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    let routed = socket.connect((Ipv4Addr::new(10, 255, 255, 255), 9)).is_ok();
    let address = if routed { socket.local_addr().ok()?.ip() } else { Ipv4Addr::LOCALHOST.into() };
    (!address.is_unspecified()).then_some(address)
}

/// All addresses, those of the interface that leads to others first, IPv4 before IPv6.
fn own_addresses() -> Vec<Own> {
    let found = if_addrs::get_if_addrs().unwrap_or_default();
    let mut own: Vec<Own> =
        found.into_iter().map(|interface| (interface.name.clone(), interface.ip())).collect();
    let outgoing = outgoing();
    let first = own.iter().find(|(_, ip)| Some(*ip) == outgoing).map(|(name, _)| name.clone());
    own.sort_by_key(|(name, ip)| (Some(name) != first.as_ref(), ip.is_ipv6()));
    own
}

fn fill(text: &str, own: &[Own]) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((template, behind)) = after.split_once("}}") else {
            return Err(format!("the template in \"{text}\" has no end"));
        };
        filled.push_str(before);
        filled.push_str(&addresses(template.trim(), own)?);
        rest = behind;
    }
    filled.push_str(rest);
    Ok(filled)
}

fn addresses(template: &str, own: &[Own]) -> Result<String, String> {
    let mut words = template.split_whitespace();
    let (function, argument) = (words.next().unwrap_or_default(), words.next().map(unquoted));
    let unknown = || {
        format!(
            "the template \"{template}\" is not known to this agent; GetPrivateIP, GetPublicIP and \
             GetInterfaceIP \"name\" are"
        )
    };
    if words.next().is_some() {
        return Err(unknown());
    }
    let (function, most) =
        function.strip_suffix('s').map_or((function, 1), |function| (function, usize::MAX));
    let fits: fn(&Own, &str) -> bool = match (function, argument) {
        ("GetPrivateIP", None) => |(_, ip), _| is_private(*ip),
        ("GetPublicIP", None) => |(_, ip), _| is_public(*ip),
        ("GetInterfaceIP", Some(_)) => |(on, _), name| on == name,
        (_, _) => return Err(unknown()),
    };
    let name = argument.unwrap_or_default();
    let found: Vec<String> =
        own.iter().filter(|own| fits(own, name)).take(most).map(|(_, ip)| ip.to_string()).collect();
    if found.is_empty() {
        return Err(format!("no address of this machine fits the template \"{template}\""));
    }
    Ok(found.join(" "))
}

fn unquoted(word: &str) -> &str {
    word.trim_matches(['"', '`'])
}

/// Addresses of private networks and of providers' shared ones (RFC 1918, 6598, 4193).
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || matches!(ip.octets(), [100, 64..=127, ..]),
        IpAddr::V6(ip) => ip.is_unique_local(),
    }
}

fn is_public(ip: IpAddr) -> bool {
    let local = match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_documentation() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !(local || ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || is_private(ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Vec<Own> {
        let of = |name: &str, ip: &str| (name.to_owned(), ip.parse().unwrap());
        vec![
            of("eth0", "10.1.2.3"),
            of("eth0", "fe80::1"),
            of("lo", "127.0.0.1"),
            of("eth1", "172.16.0.9"),
            of("eth1", "8.8.4.4"),
        ]
    }

    #[test]
    fn templates_become_addresses() {
        for (text, filled) in [
            ("{{ GetPrivateIP }}", "10.1.2.3"),
            ("{{GetPrivateIPs}}", "10.1.2.3 172.16.0.9"),
            ("{{ GetPublicIP }}", "8.8.4.4"),
            ("{{ GetInterfaceIP \"eth1\" }}", "172.16.0.9"),
            ("127.0.0.1 {{ GetInterfaceIP `eth0` }}", "127.0.0.1 10.1.2.3"),
            ("{{ GetInterfaceIPs \"eth0\" }}", "10.1.2.3 fe80::1"),
        ] {
            assert_eq!(fill(text, &own()).as_deref(), Ok(filled), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_found_is_named() {
        for (text, reason) in [
            ("{{ GetInterfaceIP \"eth9\" }}", "no address of this machine fits the template"),
            ("{{ GetAllInterfaces | attr \"address\" }}", "is not known to this agent"),
            ("{{ GetInterfaceIP }}", "is not known to this agent"),
            ("{{ GetPrivateIP", "has no end"),
        ] {
            assert!(fill(text, &own()).unwrap_err().contains(reason), "{text}");
        }
        let error = resolved("bind_addr", "{{ Nothing }}").unwrap_err();
        assert!(error.starts_with("bind_addr: the template \"Nothing\""), "{error}");
        assert_eq!(resolved("bind_addr", "1.2.3.4").as_deref(), Ok("1.2.3.4"));
    }
}
