//! URLs of addresses that must not be reached, and of some that may, in every spelling we know of.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::world::{PUBLIC_V4, PUBLIC_V6};

/// A URL and what a request for it comes to.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) url: String,
    pub(crate) expected: &'static str,
}

/// One address of each special range of IPv4, at its ends where those are hosts.
const SPECIAL_V4: [[u8; 4]; 26] = [
    [0, 0, 0, 0],
    [0, 0, 0, 1],
    [10, 0, 0, 1],
    [10, 255, 255, 255],
    [100, 64, 0, 1],
    [100, 100, 100, 200],
    [127, 0, 0, 1],
    [127, 255, 255, 254],
    [168, 63, 129, 16],
    [169, 254, 169, 254],
    [169, 254, 170, 2],
    [172, 16, 0, 1],
    [172, 31, 255, 255],
    [192, 0, 0, 192],
    [192, 0, 2, 1],
    [192, 31, 196, 1],
    [192, 52, 193, 1],
    [192, 88, 99, 1],
    [192, 168, 0, 1],
    [192, 175, 48, 1],
    [198, 18, 0, 1],
    [198, 51, 100, 1],
    [203, 0, 113, 1],
    [224, 0, 0, 1],
    [240, 0, 0, 1],
    [255, 255, 255, 255],
];

const SPECIAL_V6: [&str; 24] = [
    "::",
    "::1",
    "::2",
    "::127.0.0.1",
    "::ffff:0:127.0.0.1",
    "64:ff9b:1::7f00:1",
    "100::1",
    "100:0:0:1::1",
    "1fff:ffff::1",
    "2001::1",
    "2001:1::1",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2620:4f:8000::1",
    "3ffe::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fec0::1",
    "ff02::1",
];

pub(crate) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |expected, url: String| cases.push(Case { url, expected });
    for address in SPECIAL_V4.map(Ipv4Addr::from) {
        add("refused-address", format!("http://{address}/"));
        add("refused-address", format!("http://{}/", u32::from(address)));
        let [a, b] = halves(address);
        add("refused-address", format!("http://[::ffff:{a:x}:{b:x}]/"));
        add("refused-address", format!("http://[64:ff9b::{a:x}:{b:x}]/"));
        add("refused-address", format!("http://[2002:{a:x}:{b:x}::1]/"));
    }
    for address in SPECIAL_V6 {
        add("refused-address", format!("http://[{address}]/"));
    }
    for host in numeric().into_iter().chain(unusual()) {
        add("refused-address", format!("http://{host}/"));
    }
    for port in [22, 25, 53, 443, 2375, 6379, 8080] {
        add("refused-address", format!("http://127.0.0.1:{port}/"));
    }
    for host in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "localhost"] {
        add("refused-address", format!("https://{host}/"));
        add("refused-address", format!("http://{host}:8080/latest/meta-data/?a=b#c"));
    }
    for url in invalid() {
        add("invalid-url", url);
    }
    for host in allowed() {
        add("returned", format!("http://{host}/"));
    }
    cases
}

fn halves(address: Ipv4Addr) -> [u16; 2] {
    let [a, b, c, d] = address.octets();
    [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]
}

/// 127.0.0.1, 10.0.0.1 and 169.254.169.254 as numbers of every base and length.
fn numeric() -> Vec<String> {
    let mut hosts = Vec::new();
    for [a, b, c, d] in [[127, 0, 0, 1], [10, 0, 0, 1], [169, 254, 169, 254_u32]] {
        let (low16, low24) = (c << 8 | d, b << 16 | c << 8 | d);
        let whole = a << 24 | low24;
        hosts.extend([
            format!("{a:#x}.{b:#x}.{c:#x}.{d:#x}"),
            format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
            format!("0000{a:o}.{b}.{c:#x}.{d}"),
            format!("{a}.{b}.{low16}"),
            format!("{a}.{low24}"),
            format!("{a:#x}.{low24:#x}"),
            format!("{whole:#x}"),
            format!("{whole:#X}"),
            format!("0{whole:o}"),
            format!("{a}.{b}.{c}.{d}."),
            format!("{whole}."),
        ]);
    }
    hosts
}

/// Other scripts, encodings and names of this machine.
fn unusual() -> Vec<String> {
    let loopback = Ipv6Addr::LOCALHOST.segments().map(|segment| format!("{segment:04x}")).join(":");
    [
        "①②⑦.⓪.⓪.①",
        "１２７.０.０.１",
        "127。0。0。1",
        "127．0．0．1",
        "１６９。２５４。１６９。２５４",
        "%31%32%37.0.0.1",
        "127%2e0%2e0%2e1",
        "0x7f.1",
        "0177.1",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
        "ｌｏｃａｌｈｏｓｔ",
        "%6c%6f%63%61%6c%68%6f%73%74",
        "loc\u{ad}alhost",
        "[0:0:0:0:0:0:0:1]",
        "[0000::0001]",
        "[::ffff:127.0.0.1]",
        "[::FFFF:169.254.169.254]",
        "[0:0:0:0:0:ffff:10.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2001:0:7f00:1::80ff:fffe]",
        "[fe80::1]",
        "[febf::1]",
    ]
    .map(ToOwned::to_owned)
    .into_iter()
    .chain([format!("[{loopback}]")])
    .collect()
}

/// What is no URL, or one that two readers read differently.
fn invalid() -> Vec<String> {
    let good = PUBLIC_V4;
    [
        "",
        "/",
        "//127.0.0.1/",
        "127.0.0.1",
        "localhost:80",
        "http:",
        "http://",
        "http:///127.0.0.1/",
        "http:/127.0.0.1/",
        "http:127.0.0.1",
        "http:\\\\127.0.0.1\\",
        " http://127.0.0.1/",
        "http://127.0.0.1/ ",
        "\u{1}http://127.0.0.1/",
        "ht\ntp://127.0.0.1/",
        "http://127.0.0.1\t/",
        "http://127.0.0.1/\r\nHost: x",
        "http://127.0.0.1:0/",
        "http://127.0.0.1:65536/",
        "http://127.0.0.1:-1/",
        "http://127.0.0.1:8o/",
        "http://127.0.0.1:80:80/",
        "http://127.0.0.1.1/",
        "http://256.0.0.1/",
        "http://1.2.3.4.5/",
        "http://0x100000000/",
        "http://[::1/",
        "http://::1/",
        "http://[::1]x/",
        "http://[fe80::1%25lo]/",
        "http://[fe80::1%lo]/",
        "http://[::ffff:127.1]/",
        "http://[127.0.0.1]/",
        "http://127.0.0.1%00.example.com/",
        "http://127.0.0.1%2f.example.com/",
        "http://a b/",
        "http://a..b/",
        "http://localhost../",
        "file:///etc/passwd",
        "file://localhost/etc/passwd",
        "ftp://127.0.0.1/",
        "gopher://127.0.0.1:6379/_INFO",
        "dict://127.0.0.1:6379/info",
        "ldap://127.0.0.1/",
        "ws://127.0.0.1/",
        "data:text/plain,x",
        "javascript:alert(1)",
        "unix:///var/run/docker.sock",
    ]
    .map(ToOwned::to_owned)
    .into_iter()
    .chain([
        format!("http://{good}@127.0.0.1/"),
        format!("http://{good}:80@127.0.0.1/"),
        format!("http://127.0.0.1@{good}/"),
        format!("http://127.0.0.1:80@{good}/"),
        format!("http://:@{good}/"),
        format!("http://{good}\\@127.0.0.1/"),
        format!("http://127.0.0.1\\@{good}/"),
        format!("http://127.0.0.1\\.{good}/"),
        format!("http://{good}&@127.0.0.1#@{good}/"),
        format!("http://{good}/a/..%2f..%2fb"),
        format!("http://{good}/%2e%2e%5cb"),
        format!("http://{good}/..;/b"),
        format!("http://{good}/%zz"),
        format!("http://{good}/{}", "a".repeat(9000)),
    ])
    .collect()
}

/// The public addresses, in spellings of theirs.
fn allowed() -> Vec<String> {
    [
        PUBLIC_V4,
        "11.22.33.44.",
        "0xb.0x16.0x21.0x2c",
        "185999660",
        "①①.22.33.44",
        "[::ffff:11.22.33.44]",
        "11.22.33.44:8080",
        "11.22.33.44:80",
    ]
    .map(ToOwned::to_owned)
    .into_iter()
    .chain([format!("[{PUBLIC_V6}]"), format!("[{}]:443", PUBLIC_V6.to_uppercase())])
    .collect()
}
