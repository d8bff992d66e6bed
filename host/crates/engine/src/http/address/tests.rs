//! Every range of the table, on both sides of both ends.

use super::*;

fn is_refused(address: &str) -> bool {
    vet(address.parse().unwrap(), &[]).is_err()
}

/// First and last address of each special range, and the addresses around it where those are not
/// special themselves.
#[test]
fn each_range_ends_where_it_should() {
    for (first, last, before, after) in [
        ("0.0.0.0", "0.255.255.255", None, Some("1.0.0.0")),
        ("10.0.0.0", "10.255.255.255", Some("9.255.255.255"), Some("11.0.0.0")),
        ("100.64.0.0", "100.127.255.255", Some("100.63.255.255"), Some("100.128.0.0")),
        ("127.0.0.0", "127.255.255.255", Some("126.255.255.255"), Some("128.0.0.0")),
        ("168.63.129.16", "168.63.129.16", Some("168.63.129.15"), Some("168.63.129.17")),
        ("169.254.0.0", "169.254.255.255", Some("169.253.255.255"), Some("169.255.0.0")),
        ("172.16.0.0", "172.31.255.255", Some("172.15.255.255"), Some("172.32.0.0")),
        ("192.0.0.0", "192.0.0.255", Some("191.255.255.255"), Some("192.0.1.0")),
        ("192.0.2.0", "192.0.2.255", Some("192.0.1.255"), Some("192.0.3.0")),
        ("192.31.196.0", "192.31.196.255", Some("192.31.195.255"), Some("192.31.197.0")),
        ("192.52.193.0", "192.52.193.255", Some("192.52.192.255"), Some("192.52.194.0")),
        ("192.88.99.0", "192.88.99.255", Some("192.88.98.255"), Some("192.88.100.0")),
        ("192.168.0.0", "192.168.255.255", Some("192.167.255.255"), Some("192.169.0.0")),
        ("192.175.48.0", "192.175.48.255", Some("192.175.47.255"), Some("192.175.49.0")),
        ("198.18.0.0", "198.19.255.255", Some("198.17.255.255"), Some("198.20.0.0")),
        ("198.51.100.0", "198.51.100.255", Some("198.51.99.255"), Some("198.51.101.0")),
        ("203.0.113.0", "203.0.113.255", Some("203.0.112.255"), Some("203.0.114.0")),
        ("224.0.0.0", "239.255.255.255", Some("223.255.255.255"), None),
        ("240.0.0.0", "255.255.255.255", Some("223.255.255.255"), None),
        ("::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None, Some("2000::")),
        ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", Some("2000:ffff::"), Some("2001:200::")),
        ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", Some("2001:db7:ffff::"), Some("2001:db9::")),
        ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some("2001:ffff::"), Some("2003::")),
        (
            "2620:4f:8000::",
            "2620:4f:8000:ffff:ffff:ffff:ffff:ffff",
            Some("2620:4f:7fff::"),
            Some("2620:4f:8001::"),
        ),
        ("3ffe::", "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some("3ffd:ffff::"), None),
        ("3fff::", "3fff:0fff:ffff:ffff:ffff:ffff:ffff:ffff", None, Some("3fff:1000::")),
        ("4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some("3fff:ffff::"), None),
    ] {
        assert!(is_refused(first), "{first}");
        assert!(is_refused(last), "{last}");
        for public in [before, after].into_iter().flatten() {
            assert!(!is_refused(public), "{public}");
        }
    }
}

/// An address that holds another is refused, whatever the other: it is another machine that takes it
/// out. The one that is the other is treated as it.
#[test]
fn an_address_inside_an_address_is_no_way_around() {
    for inner in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "8.8.8.8"] {
        let inner: Ipv4Addr = inner.parse().unwrap();
        let [a, b] = [
            u16::from_be_bytes([inner.octets()[0], inner.octets()[1]]),
            u16::from_be_bytes([inner.octets()[2], inner.octets()[3]]),
        ];
        for outer in [
            format!("::{a:x}:{b:x}"),
            format!("64:ff9b::{a:x}:{b:x}"),
            format!("64:ff9b:1::{a:x}:{b:x}"),
            format!("2002:{a:x}:{b:x}::1"),
            format!("2001:0:1:2:3:4:{:x}:{:x}", !a, !b),
            format!("::ffff:0:{a:x}:{b:x}"),
            format!("fe80::5efe:{a:x}:{b:x}"),
        ] {
            assert!(is_refused(&outer), "{outer}");
        }
        let mapped = format!("::ffff:{inner}");
        let same = vet(IpAddr::V4(inner), &[]);
        assert_eq!(vet(mapped.parse().unwrap(), &[]), same);
    }
    assert_eq!(vet("::ffff:8.8.8.8".parse().unwrap(), &[]), Ok("8.8.8.8".parse().unwrap()));
}

#[test]
fn a_grant_opens_its_network_and_no_other() {
    let granted = ["10.0.0.0/8", "::1/128", "2002:7f00:1::/48"].map(|text| text.parse().unwrap());
    for inside in ["10.0.0.1", "10.255.255.255", "::ffff:10.1.2.3", "::1", "2002:7f00:1::1", "8.8.8.8"] {
        assert!(vet(inside.parse().unwrap(), &granted).is_ok(), "{inside}");
    }
    for outside in
        ["127.0.0.1", "192.168.0.1", "::", "::2", "2002:7f00:2::1", "64:ff9b::a00:1", "::ffff:127.0.0.1"]
    {
        assert!(vet(outside.parse().unwrap(), &granted).is_err(), "{outside}");
    }
    let everything = ["0.0.0.0/0".parse().unwrap()];
    assert!(vet("127.0.0.1".parse().unwrap(), &everything).is_ok());
    assert!(vet("::1".parse().unwrap(), &everything).is_err(), "a network of the other family");
}

#[test]
fn the_public_internet_is_public() {
    for public in ["1.1.1.1", "8.8.8.8", "140.82.121.4", "2606:4700::1111", "2a00:1450::1", "2620:fe::9"] {
        assert!(!is_refused(public), "{public}");
    }
    assert_eq!(
        vet("169.254.169.254".parse().unwrap(), &[]).unwrap_err().purpose,
        "link-local, metadata services"
    );
    assert_eq!(vet("fd00:ec2::254".parse().unwrap(), &[]).unwrap_err().network.to_string(), "fc00::/7");
}
