//! Decimal numbers, read exactly and without floats.

use super::MoneyError;

/// A decimal number as written: `mantissa · 10^-decimals`, negative or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    /// All digits without the point; saturated, which is far above every bound.
    pub mantissa: u64,
    /// Digits after the point less the exponent; negative for `15e1`.
    pub decimals: i64,
    /// With a minus sign.
    pub negative: bool,
}

/// An exponent beyond this is as good as infinite.
const EXPONENT_BOUND: i64 = 1_000_000;

impl Decimal {
    /// Reads `-?(0|[1-9][0-9]*)(\.[0-9]+)?`, and `([eE][+-]?[0-9]+)?` behind it if `with_exponent`: the grammar of JSON
    /// numbers.
    pub fn parse(text: &str, with_exponent: bool) -> Result<Self, MoneyError> {
        let (negative, unsigned) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let (whole, rest) = split_digits(unsigned);
        if whole.is_empty() || (whole.len() > 1 && whole[0] == b'0') {
            return Err(MoneyError::NotDecimal);
        }
        let (fraction, rest) = split_fraction(rest)?;
        let exponent = if with_exponent { parse_exponent(rest)? } else { no_exponent(rest)? };
        let mantissa = append_digits(append_digits(0, whole), fraction);
        let fraction_digits = i64::try_from(fraction.len()).unwrap_or(i64::MAX);
        Ok(Self { mantissa, decimals: fraction_digits.saturating_sub(exponent), negative })
    }
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

/// The digits behind a point, if there is one; a point needs digits.
fn split_fraction(text: &[u8]) -> Result<(&[u8], &[u8]), MoneyError> {
    let [b'.', rest @ ..] = text else { return Ok((&[], text)) };
    let (fraction, rest) = split_digits(rest);
    if fraction.is_empty() { Err(MoneyError::NotDecimal) } else { Ok((fraction, rest)) }
}

fn no_exponent(rest: &[u8]) -> Result<i64, MoneyError> {
    if rest.is_empty() { Ok(0) } else { Err(MoneyError::NotDecimal) }
}

fn parse_exponent(text: &[u8]) -> Result<i64, MoneyError> {
    let [b'e' | b'E', signed @ ..] = text else { return no_exponent(text) };
    let (sign, digits) = match signed {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        digits => (1, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(MoneyError::NotDecimal);
    }
    let magnitude = i64::try_from(append_digits(0, digits)).unwrap_or(i64::MAX);
    Ok(sign * magnitude.min(EXPONENT_BOUND))
}

fn append_digits(value: u64, digits: &[u8]) -> u64 {
    digits.iter().fold(value, |value, byte| value.saturating_mul(10).saturating_add(u64::from(byte - b'0')))
}
