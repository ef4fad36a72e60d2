//! Launches written as lines.

use super::{Draft, MAX_LINE_BYTES};
use crate::content::Member;
use crate::{Amount, BusinessDate, Currency, Invalid, Kind, LaunchId, Reason, Tenant};

impl Draft<'_> {
    /// Appends the wire line of this launch, without a line feed: `id, tenant, account, date, kind, amount` (a decimal
    /// string), `currency`, then what was given of `occurred_at, description, category`, then the other fields as given.
    /// The line reads back with the same content digest, and holds neither CR nor LF.
    ///
    /// # Errors
    /// [`Reason::LineTooLong`]: with what ingest adds (tenant, id, date) the line is longer than [`MAX_LINE_BYTES`], which
    /// only a line that was nearly so can become. Nothing is appended then.
    pub fn write_line(
        &self,
        tenant: &Tenant,
        id: &LaunchId,
        date: BusinessDate,
        line: &mut Vec<u8>,
    ) -> Result<(), Invalid> {
        let start = line.len();
        line.push(b'{');
        self.push_known(tenant, id, date, line);
        for member in &self.others {
            push_member(member, line);
        }
        line.push(b'}');
        if line.len() - start > MAX_LINE_BYTES {
            line.truncate(start);
            let detail = format!("with its id, tenant and date the launch has more than {MAX_LINE_BYTES} bytes");
            return Err(Invalid::new(Reason::LineTooLong, detail));
        }
        Ok(())
    }

    fn push_known(&self, tenant: &Tenant, id: &LaunchId, date: BusinessDate, line: &mut Vec<u8>) {
        push_plain("\"id\":\"", id.as_bytes(), line);
        push_plain(",\"tenant\":\"", tenant.as_bytes(), line);
        push_plain(",\"account\":\"", self.account.as_bytes(), line);
        push_plain(",\"date\":\"", &date.text(), line);
        let kind: &[u8] = match self.kind {
            Kind::Credit => b"credit",
            Kind::Debit => b"debit",
        };
        push_plain(",\"kind\":\"", kind, line);
        push_amount(self.amount, self.currency, line);
        push_plain(",\"currency\":\"", self.currency.code().as_bytes(), line);
        push_optional(",\"occurred_at\":", self.occurred_at.as_deref(), line);
        push_optional(",\"description\":", self.description.as_deref(), line);
        push_optional(",\"category\":", self.category.as_deref(), line);
    }
}

/// A field whose text needs no escapes; `head` opens its quote.
fn push_plain(head: &str, text: &[u8], line: &mut Vec<u8>) {
    line.extend_from_slice(head.as_bytes());
    line.extend_from_slice(text);
    line.push(b'"');
}

/// The longest amount: 10^15 minor units have 16 digits, and there is a point between them.
const MAX_AMOUNT_BYTES: usize = 17;

/// As [`crate::format_minor_units`] writes it, without a text of its own.
fn push_amount(amount: Amount, currency: Currency, line: &mut Vec<u8>) {
    let decimals = currency.exponent() as usize;
    let (mut text, mut start) = ([b'0'; MAX_AMOUNT_BYTES], MAX_AMOUNT_BYTES);
    let mut rest = amount.minor_units().unsigned_abs();
    // A digit before the point, too.
    for digits in 0.. {
        if rest == 0 && digits > decimals {
            break;
        }
        if digits == decimals && decimals > 0 {
            start -= 1;
            text[start] = b'.';
        }
        start -= 1;
        text[start] = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
    }
    push_plain(",\"amount\":\"", &text[start..], line);
}

fn push_optional(head: &str, text: Option<&str>, line: &mut Vec<u8>) {
    if let Some(text) = text {
        line.extend_from_slice(head.as_bytes());
        push_string(text, line);
    }
}

fn push_member((key, json): &Member<'_>, line: &mut Vec<u8>) {
    line.push(b',');
    push_string(key, line);
    line.push(b':');
    push_on_one_line(json, line);
}

/// A JSON string, escaped no longer than anybody could have written it.
fn push_string(text: &str, line: &mut Vec<u8>) {
    line.push(b'"');
    // Most texts need no escape. Without an early exit the compiler looks at many bytes at once.
    let needs_escapes = text.bytes().fold(false, |needs, byte| needs | matches!(byte, b'"' | b'\\' | 0x00..=0x1f));
    if !needs_escapes {
        line.extend_from_slice(text.as_bytes());
        line.push(b'"');
        return;
    }
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => line.extend_from_slice(&[b'\\', byte]),
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            b'\t' => line.extend_from_slice(b"\\t"),
            0x08 => line.extend_from_slice(b"\\b"),
            0x0c => line.extend_from_slice(b"\\f"),
            0x00..=0x1f => line.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => line.push(byte),
        }
    }
    line.push(b'"');
}

/// Valid JSON as given; line ends in it are white space, for inside strings they are escaped.
fn push_on_one_line(json: &str, line: &mut Vec<u8>) {
    if memchr::memchr2(b'\n', b'\r', json.as_bytes()).is_none() {
        line.extend_from_slice(json.as_bytes());
    } else {
        line.extend(json.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')));
    }
}
