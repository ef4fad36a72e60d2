//! What is posted: launches of about 200 bytes over 10,000 accounts, all of one length, so that a request's head never
//! changes. The seed is in every id: two runs on one log do not meet.

use std::io::Write;

/// How many accounts launches go to, in turn.
pub const ACCOUNTS: u64 = 10_000;
/// The tenant.
pub const TENANT: &str = "acme";
/// The business date.
pub const DATE: &str = "2026-11-22";
/// Prime, and so of no common divisor with [`ACCOUNTS`]: every account is met before one comes again.
const STEP: u64 = 7_919;

/// Makes launches by number.
#[derive(Clone, Copy, Debug)]
pub struct Launches {
    seed: u64,
    /// Sets apart the launches of different rows.
    series: u64,
    accounts: u64,
}

impl Launches {
    /// A series of launches.
    pub fn new(seed: u64, series: u64) -> Self {
        Self { seed: seed % 10_000, series: series % 100, accounts: ACCOUNTS }
    }

    /// The same over the first so many accounts, in turn.
    pub fn over(self, accounts: u64) -> Self {
        Self { accounts, ..self }
    }

    /// Appends one launch as JSON, without a line feed.
    pub fn write(self, number: u64, text: &mut Vec<u8>) {
        let Self { seed, series, accounts } = self;
        // The blank is white space between JSON's tokens.
        let kind = if number.is_multiple_of(3) { "\"debit\" " } else { "\"credit\"" };
        let (account, units, cents) = (account_of(number) % accounts, number % 900 + 100, number % 100);
        // Writing to memory does not fail.
        let _written = write!(
            text,
            "{{\"id\":\"launch-{seed:04}-{series:02}-{number:010}\",\"account\":\"store-{account:05}\",\"date\":\"{DATE}\",\
             \"kind\":{kind},\"amount\":\"{units}.{cents:02}\",\"currency\":\"BRL\",\
             \"description\":\"sale at the counter, paid by card\",\"category\":\"sales\"}}"
        );
    }

    /// Writes a whole POST of one launch in place of what `request` held.
    pub fn write_post(self, number: u64, request: &mut Vec<u8>) {
        request.clear();
        let _written = write!(
            request,
            "POST /v1/launches HTTP/1.1\r\nHost: localhost\r\nSaldo-Tenant: {TENANT}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            self.launch_bytes()
        );
        self.write(number, request);
    }

    /// NDJSON of the launches with these numbers.
    pub fn lines(self, numbers: impl Iterator<Item = u64>) -> Vec<u8> {
        let mut lines = Vec::new();
        for number in numbers {
            self.write(number, &mut lines);
            lines.push(b'\n');
        }
        lines
    }

    /// Bytes of each launch.
    pub fn launch_bytes(self) -> usize {
        const LAUNCH_BYTES: usize = 198;
        LAUNCH_BYTES
    }
}

/// The account of a launch.
pub fn account_of(number: u64) -> u64 {
    number.wrapping_mul(STEP) % ACCOUNTS
}

/// A GET of the day of an account, at `position` or later where one is given.
pub fn write_get(account: u64, position: Option<&[u8]>, request: &mut Vec<u8>) {
    request.clear();
    let _written = write!(
        request,
        "GET /v1/accounts/store-{account:05}/days/{DATE} HTTP/1.1\r\nHost: localhost\r\nSaldo-Tenant: {TENANT}\r\n"
    );
    if let Some(position) = position {
        request.extend_from_slice(b"Saldo-Min-Position: ");
        request.extend_from_slice(position);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_launch_is_json_of_the_same_length() {
        let launches = Launches::new(1, 2);
        for number in [0, 1, 2, 3, 999, 1_234_567_890] {
            let mut text = Vec::new();
            launches.write(number, &mut text);
            let launch: serde_json::Value = serde_json::from_slice(&text).unwrap();
            assert_eq!(text.len(), launches.launch_bytes(), "{launch}");
            assert!(launch["kind"] == "debit" || launch["kind"] == "credit");
        }
    }

    #[test]
    fn every_account_has_its_turn() {
        let accounts: HashSet<u64> = (0..ACCOUNTS).map(account_of).collect();
        assert_eq!(accounts.len(), usize::try_from(ACCOUNTS).unwrap());
    }

    #[test]
    fn a_post_announces_its_length() {
        let mut request = Vec::new();
        Launches::new(1, 1).write_post(5, &mut request);
        let text = String::from_utf8(request).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{head}");
    }
}
