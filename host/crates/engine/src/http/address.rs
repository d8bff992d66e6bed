//! Which addresses may be dialled.
//!
//! The table is ours because the standard library's own questions (`is_global` and its like) are not
//! stable. Sources: the IANA special-purpose registries for IPv4 (RFC 6890 and what updates it) and
//! IPv6, and the platform addresses of clouds that lie outside them. IPv6 is the other way round:
//! only what IANA handed out as global unicast is dialled, and of that not what carries an IPv4
//! address inside, since the inner address is the one that is reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// A range that no request reaches unless a grant names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Special {
    /// The range.
    pub(crate) network: IpNet,
    /// What it is for.
    pub(crate) purpose: &'static str,
}

const V4: [(Ipv4Net, &str); 17] = [
    (v4([0, 0, 0, 0], 8), "this network"),
    (v4([10, 0, 0, 0], 8), "private use"),
    (v4([100, 64, 0, 0], 10), "shared between a carrier's customers"),
    (v4([127, 0, 0, 0], 8), "loopback"),
    (v4([168, 63, 129, 16], 32), "a cloud's platform services"),
    (v4([169, 254, 0, 0], 16), "link-local, metadata services"),
    (v4([172, 16, 0, 0], 12), "private use"),
    (v4([192, 0, 0, 0], 24), "protocol assignments"),
    (v4([192, 0, 2, 0], 24), "documentation"),
    (v4([192, 31, 196, 0], 24), "a sink for reverse lookups"),
    (v4([192, 52, 193, 0], 24), "multicast relays"),
    (v4([192, 88, 99, 0], 24), "6to4 relays"),
    (v4([192, 168, 0, 0], 16), "private use"),
    (v4([192, 175, 48, 0], 24), "a sink for reverse lookups"),
    (v4([198, 18, 0, 0], 15), "benchmarks"),
    (v4([198, 51, 100, 0], 24), "documentation"),
    (v4([203, 0, 113, 0], 24), "documentation"),
];

/// Multicast and everything above it, broadcast included.
const V4_ABOVE: [(Ipv4Net, &str); 2] =
    [(v4([224, 0, 0, 0], 4), "multicast"), (v4([240, 0, 0, 0], 4), "reserved, broadcast")];

/// Of the global unicast range.
const V6: [(Ipv6Net, &str); 6] = [
    // Teredo, benchmarks, ORCHID and their like.
    (v6([0x2001, 0, 0], 23), "protocol assignments, tunnels"),
    (v6([0x2001, 0xdb8, 0], 32), "documentation"),
    (v6([0x2002, 0, 0], 16), "6to4, which holds an IPv4 address"),
    (v6([0x2620, 0x4f, 0x8000], 48), "a sink for reverse lookups"),
    (v6([0x3fff, 0, 0], 20), "documentation"),
    // Given back when the 6bone ended, and not handed out since.
    (v6([0x3ffe, 0, 0], 16), "reserved"),
];

const V6_GLOBAL: Ipv6Net = v6([0x2000, 0, 0], 3);

const fn v4([a, b, c, d]: [u8; 4], bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits)
}

const fn v6([a, b, c]: [u16; 3], bits: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), bits)
}

/// The address to dial for `address`: itself, or the IPv4 address that an IPv4-mapped one means.
///
/// # Errors
/// If it is special and in none of `granted`.
pub(crate) fn vet(address: IpAddr, granted: &[IpNet]) -> Result<IpAddr, Special> {
    let address = address.to_canonical();
    match special(address) {
        Some(_) if granted.iter().any(|network| network.contains(&address)) => Ok(address),
        Some(special) => Err(special),
        None => Ok(address),
    }
}

/// The special range that a canonical address is in.
fn special(address: IpAddr) -> Option<Special> {
    match address {
        IpAddr::V4(address) => {
            let mut rows = V4.iter().chain(&V4_ABOVE);
            let row = rows.find(|(network, _)| network.contains(&address));
            row.map(|(network, purpose)| Special { network: IpNet::V4(*network), purpose })
        }
        IpAddr::V6(address) if V6_GLOBAL.contains(&address) => {
            let row = V6.iter().find(|(network, _)| network.contains(&address));
            row.map(|(network, purpose)| Special { network: IpNet::V6(*network), purpose })
        }
        IpAddr::V6(address) => Some(outside_global(address)),
    }
}

/// Names the ranges outside global unicast that people know. All of them are special, named or not.
fn outside_global(address: Ipv6Addr) -> Special {
    let known = [
        (v6([0, 0, 0], 96), "loopback, unspecified, or an IPv4 address inside"),
        (v6([0x64, 0xff9b, 0], 96), "NAT64, which holds an IPv4 address"),
        (v6([0x64, 0xff9b, 1], 48), "NAT64, which holds an IPv4 address"),
        (v6([0xfc00, 0, 0], 7), "private use"),
        (v6([0xfe80, 0, 0], 10), "link-local"),
        (v6([0xfec0, 0, 0], 10), "private use"),
        (v6([0xff00, 0, 0], 8), "multicast"),
    ];
    let row = known.into_iter().find(|(network, _)| network.contains(&address));
    let everything = (Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0), "outside global unicast");
    let (network, purpose) = row.unwrap_or(everything);
    Special { network: IpNet::V6(network), purpose }
}

#[cfg(test)]
mod tests;
