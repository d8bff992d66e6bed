//! A network in which every address is this machine, with servers that write down who came.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

/// Public addresses, on which the allowed server answers.
pub(crate) const PUBLIC_V4: &str = "11.22.33.44";
pub(crate) const PUBLIC_V6: &str = "2a0b:1:2:3::4";
/// What every other address says.
pub(crate) const CANARY: &str = "the canary sang";
/// Ports on which every address listens. On 53 that is TCP alone.
const PORTS: [u16; 8] = [22, 25, 53, 80, 443, 2375, 6379, 8080];

/// Answers of one lookup.
pub(crate) type Answers = Vec<IpAddr>;

#[derive(Default)]
struct Seen {
    /// Addresses that were reached and should not be.
    canaries: Vec<String>,
    /// Heads of the requests to public addresses.
    requests: Vec<String>,
    /// What each name answers, lookup by lookup; the last one from then on.
    scripts: BTreeMap<String, Vec<Answers>>,
    /// Questions for each name and record type.
    asked: BTreeMap<(String, u16), usize>,
}

#[derive(Clone)]
pub(crate) struct World(Arc<Mutex<Seen>>);

/// A and AAAA.
const A: u16 = 1;
const AAAA: u16 = 28;

impl World {
    /// Starts everything. Only in a namespace of the test's own.
    pub(crate) fn new() -> Self {
        let resolver = std::env::temp_dir().join(format!("capstan-resolver-{}", std::process::id()));
        fs::write(&resolver, "nameserver 127.0.0.1\noptions timeout:2 attempts:1\n").unwrap();
        for words in [
            "ip link set lo up",
            "ip route add local 0.0.0.0/0 dev lo",
            "ip -6 route add local ::/0 dev lo",
            &format!("mount --bind {} /etc/resolv.conf", resolver.display()),
        ] {
            let mut words = words.split(' ');
            let done = Command::new(words.next().unwrap()).args(words).status().unwrap();
            assert!(done.success());
        }
        fs::remove_file(resolver).unwrap();
        let world = Self(Arc::default());
        for port in PORTS {
            // Takes IPv4 too, with the address inside.
            let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).unwrap();
            let world = world.clone();
            thread::spawn(move || {
                for stream in listener.incoming() {
                    let world = world.clone();
                    thread::spawn(move || world.serve(&mut stream.unwrap()));
                }
            });
        }
        let socket = UdpSocket::bind("127.0.0.1:53").unwrap();
        let names = world.clone();
        thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((bytes, from)) = socket.recv_from(&mut question) {
                let reply = names.reply(&question[..bytes]);
                socket.send_to(&reply, from).unwrap();
            }
        });
        world
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap()
    }

    pub(crate) fn canaries(&self) -> Vec<String> {
        self.seen().canaries.clone()
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen().requests.clone()
    }

    /// Says what a name answers from now on.
    pub(crate) fn script(&self, name: &str, steps: Vec<Answers>) {
        self.seen().scripts.insert(name.to_lowercase(), steps);
    }

    /// How often the name was looked up, for IPv4.
    pub(crate) fn lookups(&self, name: &str) -> usize {
        self.seen().asked.get(&(name.to_owned(), A)).copied().unwrap_or(0)
    }

    fn serve(&self, stream: &mut TcpStream) {
        let reached = stream.local_addr().unwrap().ip().to_canonical();
        let is_public =
            [PUBLIC_V4, PUBLIC_V6].iter().any(|public| reached == public.parse::<IpAddr>().unwrap());
        if !is_public {
            self.seen().canaries.push(format!("{reached}:{}", stream.local_addr().unwrap().port()));
        }
        let mut head = String::new();
        let mut reader = BufReader::new(stream);
        while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).is_ok_and(|read| read > 0) {}
        let target = head.split(' ').nth(1).unwrap_or_default();
        let (status, body) = match target.strip_prefix("/to/") {
            Some(location) => (format!("302 Found\r\nlocation: {location}"), ""),
            None if is_public => ("200 OK".to_owned(), "public"),
            None => ("200 OK".to_owned(), CANARY),
        };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        if is_public {
            self.seen().requests.push(head.clone());
        }
        drop(reader.get_mut().write_all(answer.as_bytes()));
    }

    /// The answer to a DNS question (RFC 1035, 4.1): what the script says, or that there is no such
    /// name.
    fn reply(&self, question: &[u8]) -> Vec<u8> {
        let (name, end) = name_at(question, 12);
        let kind = u16::from_be_bytes([question[end], question[end + 1]]);
        let mut seen = self.seen();
        let count = seen.asked.entry((name.clone(), kind)).or_default();
        let step = *count;
        *count += 1;
        let steps = seen.scripts.get(&name);
        let answers = steps.and_then(|steps| steps.get(step).or(steps.last()).cloned());
        let known = answers.is_some();
        let wanted =
            |address: &IpAddr| (kind == A && address.is_ipv4()) || (kind == AAAA && address.is_ipv6());
        let answers: Answers = answers.unwrap_or_default().into_iter().filter(wanted).collect();
        let mut reply = question[..2].to_vec();
        reply.extend([0x84, if known { 0x80 } else { 0x83 }, 0, 1]);
        reply.extend(u16::try_from(answers.len()).unwrap().to_be_bytes());
        reply.extend([0, 0, 0, 0]);
        reply.extend(&question[12..end + 4]);
        for address in answers {
            // The name that was asked for, class IN, a time to live of 0.
            reply.extend([0xc0, 12]);
            reply.extend(kind.to_be_bytes());
            reply.extend([0, 1, 0, 0, 0, 0]);
            let bytes = match address {
                IpAddr::V4(address) => address.octets().to_vec(),
                IpAddr::V6(address) => address.octets().to_vec(),
            };
            reply.extend(u16::try_from(bytes.len()).unwrap().to_be_bytes());
            reply.extend(bytes);
        }
        reply
    }
}

/// The name at an offset of a message, and the offset behind it.
fn name_at(message: &[u8], mut at: usize) -> (String, usize) {
    let mut labels = Vec::new();
    while message[at] != 0 {
        let end = at + 1 + usize::from(message[at]);
        labels.push(String::from_utf8_lossy(&message[at + 1..end]).to_lowercase());
        at = end;
    }
    (labels.join("."), at + 1)
}
