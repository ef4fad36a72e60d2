//! For which hosts a request is answered.
//!
//! A browser that is led to `http://attacker.example:8080/` while that name means 127.0.0.1 (DNS rebinding) takes the answers of
//! a service on this machine for those of its page, and so the page may send any header. What it cannot send is another
//! host than the one in its address. So where nothing but the loopback address keeps strangers out, only names that can mean
//! nothing but this machine are answered for.
//!
//! | request | answer |
//! |---|---|
//! | HTTP/1.1 without `Host`; several; one that is no host; user information in the target | 400 (RFC 9112 section 3.2) |
//! | another host, while hosts are limited | 421 |
//! | another host that is an address, for `/health/live`, `/health/ready` and `/metrics` | as if for this machine: probes come by address, a browser led astray by name |
//! | HTTP/1.0 without `Host` and without a host in its target | as if for this machine: no browser sends such a one |
//!
//! A target in absolute form replaces `Host` (RFC 9112 section 3.2.2).

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use axum::http::{Request, Version, header, uri::Authority};

use crate::{
    config::{ConfigError, Variables},
    problem::{Problem, kinds},
};

const ALLOWED_HOSTS: &str = "SALDO_HTTP_ALLOWED_HOSTS";
/// What probes and scrapers ask for. They know a service by its address, and hold no tenant's data.
const PROBED_PATHS: [&str; 3] = ["/health/live", "/health/ready", "/metrics"];

/// A host as a request names it, without its port.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Host<'a> {
    /// As given, without the dot of a full name.
    Name(&'a str),
    Address(IpAddr),
}

/// A name or an address that a service answers for, beside this machine's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedHost {
    /// A name; case does not count.
    Name(String),
    /// An address.
    Address(IpAddr),
}

impl AllowedHost {
    /// `SALDO_HTTP_ALLOWED_HOSTS`: names and addresses with commas between.
    ///
    /// # Errors
    /// One of them is neither, or has a port.
    pub fn of_variables(variables: &Variables) -> Result<Vec<Self>, ConfigError> {
        let given = variables.text(ALLOWED_HOSTS).unwrap_or_default();
        let hosts = given.split(',').map(str::trim).filter(|host| !host.is_empty());
        let expected = "expected names or addresses without ports, with commas between";
        hosts.map(str::parse).collect::<Result<_, _>>().map_err(|NoHost| variables.error(ALLOWED_HOSTS, expected))
    }

    fn is(&self, host: &Host<'_>) -> bool {
        match (self, host) {
            (Self::Name(name), Host::Name(given)) => name.eq_ignore_ascii_case(given),
            (Self::Address(address), Host::Address(given)) => address == given,
            _ => false,
        }
    }
}

/// A text is no host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoHost;

impl FromStr for AllowedHost {
    type Err = NoHost;

    fn from_str(text: &str) -> Result<Self, NoHost> {
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Ok(Self::Address(IpAddr::V6(address).to_canonical()));
        }
        match Host::without_port(text.as_bytes()).ok_or(NoHost)? {
            // What a name may have besides is nothing but mistakes here: a pattern, a list with other separators.
            Host::Name(name) if name.bytes().all(is_of_domain) => Ok(Self::Name(name.to_owned())),
            Host::Name(_) => Err(NoHost),
            Host::Address(address) => Ok(Self::Address(address)),
        }
    }
}

/// The hosts that one listener answers for.
pub(super) enum Hosts {
    /// Whichever they are.
    Any,
    /// This machine's own, and these.
    Local(Vec<AllowedHost>),
}

impl Hosts {
    /// Those of a listener: limited where it has a loopback address, and where hosts are configured.
    pub(super) fn of(listener: SocketAddr, allowed: &[AllowedHost]) -> Self {
        let is_loopback = listener.ip().to_canonical().is_loopback();
        if is_loopback || !allowed.is_empty() { Self::Local(allowed.to_vec()) } else { Self::Any }
    }

    /// Whether a request may be answered.
    ///
    /// # Errors
    /// A problem for the caller.
    pub(super) fn check<B>(&self, request: &Request<B>) -> Result<(), Problem> {
        match (host_of(request)?, self) {
            (None, _) | (_, Self::Any) => Ok(()),
            (Some(host), Self::Local(allowed)) => {
                let is_probe = || PROBED_PATHS.contains(&request.uri().path());
                let is_by_address = matches!(host, Host::Address(_));
                let is_answered = host.is_of_this_machine()
                    || allowed.iter().any(|allowed| allowed.is(&host))
                    || (is_by_address && is_probe());
                if is_answered { Ok(()) } else { Err(misdirected()) }
            }
        }
    }
}

/// The host that a request is for.
fn host_of<B>(request: &Request<B>) -> Result<Option<Host<'_>>, Problem> {
    let mut given = request.headers().get_all(header::HOST).iter();
    let first = given.next();
    if given.next().is_some() {
        return Err(invalid("the header Host is given more than once"));
    }
    let no_host = || invalid("the header Host is no host");
    let host = first.map(|value| Host::parse(value.as_bytes()).ok_or_else(no_host)).transpose()?;
    if host.is_none() && request.version() >= Version::HTTP_11 {
        return Err(invalid("the header Host is missing"));
    }
    match request.uri().authority() {
        Some(authority) => of_target(authority).map(Some),
        None => Ok(host),
    }
}

fn of_target(authority: &Authority) -> Result<Host<'_>, Problem> {
    Host::parse(authority.as_str().as_bytes()).ok_or_else(|| invalid("the host in the request's target is no host"))
}

impl<'a> Host<'a> {
    /// `uri-host [ ":" port ]` of RFC 9110 section 7.2, with a host that is not empty.
    fn parse(text: &'a [u8]) -> Option<Self> {
        // A colon within brackets is an address's own.
        let after_brackets = text.iter().rposition(|byte| *byte == b']').map_or(0, |bracket| bracket + 1);
        let colon = text.get(after_brackets..)?.iter().position(|byte| *byte == b':');
        let (host, port) = match colon {
            Some(colon) => text.split_at_checked(after_brackets + colon)?,
            None => (text, &b":"[..]),
        };
        is_port(port.get(1..)?).then(|| Self::without_port(host))?
    }

    fn without_port(text: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        if let Some(address) = text.strip_prefix('[') {
            let address: Ipv6Addr = address.strip_suffix(']')?.parse().ok()?;
            return Some(Self::Address(IpAddr::V6(address).to_canonical()));
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Some(Self::Address(address.into()));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        (!name.is_empty() && is_name(name.as_bytes())).then_some(Self::Name(name))
    }

    /// Loopback addresses, and the names that RFC 6761 section 6.3 reserves for them.
    fn is_of_this_machine(&self) -> bool {
        match self {
            Self::Address(address) => address.is_loopback(),
            Self::Name(name) => {
                let last = name.rsplit('.').next().unwrap_or(name);
                last.eq_ignore_ascii_case("localhost")
            }
        }
    }
}

/// Nothing, or a number of 16 bits.
fn is_port(digits: &[u8]) -> bool {
    let number = || std::str::from_utf8(digits).ok()?.parse::<u16>().ok();
    digits.is_empty() || (digits.iter().all(u8::is_ascii_digit) && number().is_some())
}

/// `reg-name` of RFC 3986 section 3.2.2.
fn is_name(mut text: &[u8]) -> bool {
    loop {
        text = match text {
            [] => return true,
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => rest,
            [byte, rest @ ..] if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(byte) => rest,
            _ => return false,
        };
    }
}

fn is_of_domain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._".contains(&byte)
}

fn invalid(detail: &'static str) -> Problem {
    Problem::new(kinds::HOST_INVALID, detail)
}

fn misdirected() -> Problem {
    Problem::new(
        kinds::MISDIRECTED,
        "this service does not answer for that host: call it by localhost or a loopback address",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<Host<'_>> {
        Host::parse(text.as_bytes())
    }

    #[test]
    fn hosts_are_names_and_addresses_with_or_without_a_port() {
        let [v4, v6, mapped] = ["127.0.0.1", "::1", "10.0.0.1"].map(|text| Host::Address(text.parse().unwrap()));
        for (text, host) in [
            ("saldo", Host::Name("saldo")),
            ("Saldo.Example:8080", Host::Name("Saldo.Example")),
            ("saldo.example.:80", Host::Name("saldo.example")),
            ("a%20b", Host::Name("a%20b")),
            ("localhost:", Host::Name("localhost")),
            ("127.0.0.1:65535", v4.clone()),
            ("127.0.0.1", v4),
            ("[::1]", v6.clone()),
            ("[::1]:80", v6),
            ("[::ffff:10.0.0.1]:80", mapped),
        ] {
            assert_eq!(parsed(text), Some(host), "{text}");
        }
        for text in [
            "",
            ":80",
            ".",
            "a b",
            "a/b",
            "a?b",
            "a#b",
            "user@host",
            "a:b",
            "a:1:2",
            "a:65536",
            "a:-1",
            "a:+1",
            "[::1",
            "::1",
            "[::1]80",
            "[::1%25lo]",
            "[v1.x]",
            "[]",
            "a%2",
            "a%zz",
            "h\u{f6}st",
            "a,b:c",
            "a\\b",
            "\"a\"",
            "a\u{7f}",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
        assert_eq!(Host::parse(b"\xff"), None);
    }

    #[test]
    fn names_and_addresses_of_this_machine_are_its_own() {
        for own in ["localhost", "LocalHost.", "a.localhost", "127.0.0.1", "127.9.9.9", "[::1]", "[::ffff:127.0.0.1]"] {
            assert!(parsed(own).unwrap().is_of_this_machine(), "{own}");
        }
        for other in [
            "localhost.example",
            "xlocalhost",
            "128.0.0.1",
            "0.0.0.0",
            "[::]",
            "[::2]",
            "127.1",
            "2130706433",
            "127.0.0.1.example",
        ] {
            assert!(!parsed(other).unwrap().is_of_this_machine(), "{other}");
        }
    }

    #[test]
    fn configured_hosts_are_read_strictly() {
        let read = |value| AllowedHost::of_variables(&Variables::of_pairs([(ALLOWED_HOSTS, value)]));
        let name = |name: &str| AllowedHost::Name(name.to_owned());
        let address = |address: &str| AllowedHost::Address(address.parse().unwrap());
        assert_eq!(read("").unwrap(), []);
        let expected = [name("saldo"), address("10.0.0.7"), address("::1"), address("fe80::1")];
        assert_eq!(read("saldo, 10.0.0.7,::1,[fe80::1]").unwrap(), expected);
        for wrong in ["saldo:8080", "http://saldo", "a b", "[::1]:80", "*", "a;b"] {
            assert!(read(wrong).unwrap_err().to_string().contains(ALLOWED_HOSTS), "{wrong}");
        }
    }

    #[test]
    fn hosts_are_limited_on_loopback_and_where_they_are_configured() {
        let of = |listener: &str, allowed: &[AllowedHost]| Hosts::of(listener.parse().unwrap(), allowed);
        let ask = |hosts: &Hosts, host: &str| {
            let request = Request::get("/").header("host", host).body(()).unwrap();
            hosts.check(&request).map_err(|problem| problem.kind.slug)
        };
        let allowed = [AllowedHost::Name("saldo.example".to_owned())];
        for loopback in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(ask(&of(loopback, &[]), "saldo.example"), Err("misdirected"), "{loopback}");
            assert_eq!(ask(&of(loopback, &allowed), "SALDO.example:9"), Ok(()), "{loopback}");
        }
        assert_eq!(ask(&of("0.0.0.0:1", &[]), "whatever"), Ok(()));
        assert_eq!(ask(&of("0.0.0.0:1", &[]), "what ever"), Err("host_invalid"));
        assert_eq!(ask(&of("0.0.0.0:1", &allowed), "whatever"), Err("misdirected"));
        assert_eq!(ask(&of("0.0.0.0:1", &allowed), "127.0.0.1:1"), Ok(()), "health checks of the same container");
    }

    #[test]
    fn probes_come_by_address_and_nothing_else_does() {
        let allowed = [AllowedHost::Name("saldo.example".to_owned())];
        let hosts = Hosts::of("0.0.0.0:1".parse().unwrap(), &allowed);
        let ask = |path: &str, host: &str| {
            let request = Request::get(path).header("host", host).body(()).unwrap();
            hosts.check(&request).map_err(|problem| problem.kind.slug)
        };
        for path in PROBED_PATHS {
            assert_eq!((ask(path, "10.0.0.7:8080"), ask(path, "[fe80::7]")), (Ok(()), Ok(())), "{path}");
            assert_eq!(ask(path, "attacker.example"), Err("misdirected"), "{path}");
        }
        for path in ["/v1/launches", "/", "/health", "/metrics/"] {
            assert_eq!(ask(path, "10.0.0.7:8080"), Err("misdirected"), "{path}");
        }
    }

    #[test]
    fn a_target_in_absolute_form_replaces_the_header() {
        let hosts = Hosts::of("127.0.0.1:1".parse().unwrap(), &[]);
        let ask = |target: &str, host: &str| {
            let request = Request::get(target).header("host", host).body(()).unwrap();
            hosts.check(&request).map_err(|problem| problem.kind.slug)
        };
        assert_eq!(ask("http://evil.example/v1/accounts", "localhost"), Err("misdirected"));
        assert_eq!(ask("http://localhost/v1/accounts", "evil.example"), Ok(()));
        assert_eq!(ask("http://localhost/v1/accounts", "ev il"), Err("host_invalid"));
        assert_eq!(ask("http://user@localhost/v1/accounts", "localhost"), Err("host_invalid"));
    }
}
