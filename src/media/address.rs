//! Which addresses may be asked on a client's behalf. An address is read strictly: what browsers
//! mend is refused here, so that it cannot mean one thing to the check and another to the fetch.

use core::net::{Ipv4Addr, Ipv6Addr};

/// Hosts that the operator allows whatever their address: `name` or `name:port`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts(Vec<String>);

/// An address that may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    scheme: &'static str,
    host: String,
    port: Option<u16>,
    /// Path and query, from the slash on.
    path: String,
    url: String,
}

const MAX_URL: usize = 8 * 1024;
const PORTS: [u16; 4] = [80, 443, 8080, 8443];
const PRIVATE: &str = "its host is not on the public internet";
const MALFORMED: &str = "its URL is malformed";

/// Names below which nothing is public, and the names themselves.
const PRIVATE_NAMES: [&str; 13] = [
    "localhost",
    "local",
    "localdomain",
    "internal",
    "intranet",
    "private",
    "corp",
    "home",
    "lan",
    "arpa",
    "test",
    "invalid",
    "onion",
];

impl Hosts {
    /// Reads a list with commas between the hosts.
    pub fn read(list: &str) -> Hosts {
        let hosts = list.split(',').map(|host| host.trim().to_ascii_lowercase());
        Hosts(hosts.filter(|host| !host.is_empty()).collect())
    }

    fn has(&self, host: &str, port: u16) -> bool {
        self.0.iter().any(|allowed| *allowed == host || *allowed == format!("{host}:{port}"))
    }
}

impl Address {
    /// Reads the URL of a link, or says in a few words why it may not be asked.
    pub fn read(url: &str, hosts: &Hosts) -> Result<Address, &'static str> {
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'<' | b'>' | b'"' | b'`');
        if url.len() > MAX_URL || !url.bytes().all(plain) {
            return Err(MALFORMED);
        }
        let (scheme, rest) = url.split_once("://").ok_or("only http and https links are fetched")?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "https" => "https",
            "http" => "http",
            _ => return Err("only http and https links are fetched"),
        };
        let rest = rest.split('#').next().unwrap_or(rest);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        if authority.contains('@') {
            return Err("its URL holds credentials");
        }
        let (host, port) = split_port(authority)?;
        let host = host.to_ascii_lowercase();
        let used = port.unwrap_or(if scheme == "https" { 443 } else { 80 });
        if !hosts.has(&host, used) {
            check_host(&host)?;
            if !PORTS.contains(&used) {
                return Err("its port is not one of 80, 443, 8080 and 8443");
            }
        }
        let shown = port.map(|port| format!(":{port}")).unwrap_or_default();
        let url = format!("{scheme}://{host}{shown}{path}");
        Ok(Address { scheme, host, port, path, url })
    }

    /// Where a redirect from here leads.
    pub fn join(&self, location: &str, hosts: &Hosts) -> Result<Address, &'static str> {
        let location = location.trim();
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        let origin = format!("{}://{}{port}", self.scheme, self.host);
        let folder =
            || self.path.split('?').next().and_then(|path| path.rsplit_once('/')).map_or("", |it| it.0);
        let path = || self.path.split('?').next().unwrap_or_default();
        let is_absolute = location.split(['/', '?', '#']).next().is_some_and(|start| start.contains(':'));
        let whole = match location {
            _ if is_absolute => location.to_owned(),
            _ if location.starts_with("//") => format!("{}:{location}", self.scheme),
            _ if location.starts_with('/') => format!("{origin}{location}"),
            _ if location.starts_with('?') => format!("{origin}{}{location}", path()),
            _ => format!("{origin}{}/{location}", folder()),
        };
        let next = Address::read(&whole, hosts)?;
        if self.scheme == "https" && next.scheme == "http" {
            return Err("the connection is not encrypted");
        }
        Ok(next)
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    /// The host that a link names, as far as it can be repeated.
    pub fn host_of(url: &str) -> Option<String> {
        let rest = url.split_once("://")?.1;
        let authority = rest.split(['/', '?', '#', '\\']).next()?;
        let host = authority.rsplit('@').next()?;
        let plain: String = host.chars().filter(char::is_ascii_graphic).take(100).collect();
        Some(plain).filter(|host| !host.is_empty())
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), &'static str> {
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inner, port)) => (&authority[..inner.len() + 2], port),
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        None => return Err(MALFORMED),
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().map_err(|_| MALFORMED)?)
        }
        Some(_) => return Err(MALFORMED),
    };
    Ok((host, port))
}

/// Refuses what is not, or need not be, the name or number of a public host.
fn check_host(host: &str) -> Result<(), &'static str> {
    if let Some(inner) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        let address: Ipv6Addr = inner.parse().map_err(|_| MALFORMED)?;
        return if is_public_v6(address) { Ok(()) } else { Err(PRIVATE) };
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    let named = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if host.is_empty() || host.len() > 253 || !host.bytes().all(named) || host.split('.').any(str::is_empty) {
        return Err(MALFORMED);
    }
    let last = host.rsplit('.').next().unwrap_or(host);
    if is_number(last) {
        let address = read_v4(host).ok_or(MALFORMED)?;
        return if is_public_v4(address) { Ok(()) } else { Err(PRIVATE) };
    }
    // A name without a dot is one of this network.
    if last == host || PRIVATE_NAMES.contains(&last) {
        return Err(PRIVATE);
    }
    Ok(())
}

fn is_number(label: &str) -> bool {
    label.bytes().all(|byte| byte.is_ascii_digit())
        || label.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Reads an IPv4 address in every spelling that fetches know: one to four numbers, decimal, octal
/// or hexadecimal, of which the last fills what is left (url.spec.whatwg.org, "IPv4 parser").
fn read_v4(host: &str) -> Option<Ipv4Addr> {
    let numbers: Option<Vec<u64>> = host.split('.').map(read_number).collect();
    let numbers = numbers.filter(|numbers| numbers.len() <= 4)?;
    let (last, first) = numbers.split_last()?;
    let room = 1u64 << (8 * (4 - first.len()));
    if *last >= room || first.iter().any(|number| *number > 255) {
        return None;
    }
    let high = first.iter().enumerate().map(|(place, number)| number << (8 * (3 - place))).sum::<u64>();
    u32::try_from(high + last).ok().map(Ipv4Addr::from)
}

fn read_number(label: &str) -> Option<u64> {
    let (digits, radix) = match label.strip_prefix("0x") {
        Some(hex) => (hex, 16),
        None if label.len() > 1 && label.starts_with('0') => (&label[1..], 8),
        None => (label, 10),
    };
    if digits.is_empty() { Some(0) } else { u64::from_str_radix(digits, radix).ok() }
}

/// Not of the special-purpose registry of IANA (RFC 6890): this host, private, shared (RFC 6598),
/// loopback, link-local with the metadata services, documentation, benchmarks, multicast, reserved.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !matches!(
        (a, b, c),
        (0 | 10 | 127 | 224.., _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    )
}

/// Global unicast (2000::/3) alone, without documentation and what wraps an IPv4 address.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let global = first & 0xe000 == 0x2000;
    let special =
        matches!((first, second), (0x2001, 0..=0x01ff | 0x0db8) | (0x2002, _) | (0x3fff, 0..=0x0fff));
    global && !special
}
