//! From an address back to a name.

use crate::Asked;
use crate::answer::{Answer, Code, Type};
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

impl Asked<'_> {
    /// `<d.c.b.a>.in-addr.arpa` and `ip6.arpa`: a node, else a service, else whoever can be asked.
    pub(crate) fn reverse(&mut self, answer: &mut Answer<'_>) {
        let Some(address) = reversed(&self.question.lower) else { return self.nobody(answer) };
        let is_it = |text: &str| text.parse::<IpAddr>().is_ok_and(|other| other == address);
        let (datacenter, domain) = (&*self.facts.datacenter, self.config.domain.as_str());
        let node = self.catalog.nodes().find(|node| is_it(&node.address));
        if let Some(node) = node {
            answer.pointer(Type::Ptr, 0, &[&node.name, "node", datacenter, domain]);
        } else {
            let names: Vec<_> = self.catalog.services().map(|(name, _)| name.clone()).collect();
            let service = names.iter().find(|name| {
                self.catalog
                    .service_instances(name)
                    .any(|instance| is_it(&instance.registration.address))
            });
            if let Some(name) = service {
                answer.pointer(Type::Ptr, 0, &[name, "service", datacenter, domain]);
            }
        }
        if answer.answers() == 0 {
            self.nobody(answer);
        }
    }

    /// The address is nobody's here: others are asked, if there are any.
    fn nobody(&self, answer: &mut Answer<'_>) {
        if self.config.recursors.is_empty() {
            answer.fail();
        } else {
            answer.refuse(Code::Refused);
        }
    }
}

/// The address a reverse name stands for.
fn reversed(labels: &[String]) -> Option<IpAddr> {
    match labels {
        [parts @ .., zone, arpa] if zone == "in-addr" && arpa == "arpa" => {
            let [d, c, b, a] = parts else { return None };
            let octet = |text: &String| text.parse::<u8>().ok();
            Some(IpAddr::V4(Ipv4Addr::new(octet(a)?, octet(b)?, octet(c)?, octet(d)?)))
        }
        [parts @ .., zone, arpa] if zone == "ip6" && arpa == "arpa" && parts.len() == 32 => {
            let mut bits = 0_u128;
            for part in parts.iter().rev() {
                let digit = part.chars().next().filter(|_| part.len() == 1)?.to_digit(16)?;
                bits = (bits << 4) | u128::from(digit);
            }
            Some(IpAddr::V6(Ipv6Addr::from_bits(bits)))
        }
        _ => None,
    }
}
