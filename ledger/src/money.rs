//! Money: ISO 4217 currencies, and amounts in minor units.

mod currencies;
mod decimal;

use std::fmt;

use decimal::Decimal;
use smol_str::SmolStr;

/// The largest launch: 10^15 minor units, so that totals in `i128` cannot overflow.
pub const MAX_AMOUNT_MINOR_UNITS: i64 = 1_000_000_000_000_000;

/// An ISO 4217 currency that has minor units (0, 2, 3 or 4 decimals). Ordered by code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct Currency {
    code: [u8; 3],
    /// Follows from the code; held to save looking it up.
    exponent: u8,
}

/// Why a text is no amount or no currency.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not a known ISO 4217 code, or one without minor units.
    #[error("{0:?} is not an ISO 4217 currency with minor units")]
    UnknownCurrency(String),
    /// Not a decimal number.
    #[error("an amount is a decimal number such as \"150.75\"")]
    NotDecimal,
    /// More decimals than the currency has.
    #[error("{currency} has {allowed} decimals")]
    TooManyDecimals {
        /// The currency.
        currency: Currency,
        /// How many it has.
        allowed: u32,
    },
    /// Zero or negative.
    #[error("an amount is greater than zero; the kind says whether it is a credit or a debit")]
    NotPositive,
    /// Above [`MAX_AMOUNT_MINOR_UNITS`].
    #[error("an amount is at most 10^15 minor units")]
    TooLarge,
}

/// An unknown currency is quoted in its error up to this many characters.
const QUOTED_CURRENCY_CHARACTERS: usize = 16;

impl Currency {
    /// Looks the code up in ISO 4217; codes are written in upper case.
    ///
    /// # Errors
    /// The code is unknown, or has no minor units (as XAU).
    pub fn parse(code: &str) -> Result<Self, MoneyError> {
        let known = <[u8; 3]>::try_from(code.as_bytes())
            .ok()
            .and_then(|code| currencies::exponent(code).map(|exponent| Self { code, exponent }));
        known.ok_or_else(|| MoneyError::UnknownCurrency(code.chars().take(QUOTED_CURRENCY_CHARACTERS).collect()))
    }

    /// The three letters.
    pub fn code(&self) -> &str {
        // The table holds ASCII only.
        std::str::from_utf8(&self.code).unwrap_or_default()
    }

    /// Number of decimals: the ISO 4217 exponent.
    pub fn exponent(&self) -> u32 {
        u32::from(self.exponent)
    }
}

impl TryFrom<SmolStr> for Currency {
    type Error = MoneyError;
    fn try_from(code: SmolStr) -> Result<Self, MoneyError> {
        Self::parse(&code)
    }
}

impl From<Currency> for SmolStr {
    fn from(currency: Currency) -> SmolStr {
        SmolStr::new(currency.code())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code())
    }
}

/// The amount of one launch: 1 to [`MAX_AMOUNT_MINOR_UNITS`] minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i64);

impl Amount {
    /// Reads a plain decimal exactly, as it stands in a JSON string: `150.75`, `7`, `0.05`. No sign, no exponent, no white
    /// space, no leading zeros, digits on both sides of a point. It has at most as many decimals as the currency, zeros
    /// included: `15.500` BRL is refused, whoever writes three decimals may mean another currency.
    ///
    /// # Errors
    /// See [`MoneyError`].
    pub fn parse(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        Self::from_decimal(Decimal::parse(text, false)?, currency)
    }

    /// Reads the text of a JSON number exactly: as [`Self::parse`], and an exponent may follow. What counts as decimals is
    /// the digits after the point less the exponent: `1.5075e2` BRL is 150.75, `1500e-3` BRL is refused.
    ///
    /// # Errors
    /// See [`MoneyError`].
    pub fn parse_number(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        Self::from_decimal(Decimal::parse(text, true)?, currency)
    }

    fn from_decimal(decimal: Decimal, currency: Currency) -> Result<Self, MoneyError> {
        let missing_zeros = i64::from(currency.exponent) - decimal.decimals;
        if missing_zeros < 0 {
            return Err(MoneyError::TooManyDecimals { currency, allowed: currency.exponent() });
        }
        if decimal.negative || decimal.mantissa == 0 {
            return Err(MoneyError::NotPositive);
        }
        let scale = u32::try_from(missing_zeros).ok().and_then(|zeros| 10_u64.checked_pow(zeros));
        let minor_units = scale.and_then(|scale| decimal.mantissa.checked_mul(scale)).ok_or(MoneyError::TooLarge)?;
        Self::from_minor_units(i64::try_from(minor_units).map_err(|_| MoneyError::TooLarge)?)
    }

    /// An amount from minor units.
    ///
    /// # Errors
    /// Not positive, or above the bound.
    pub fn from_minor_units(minor_units: i64) -> Result<Self, MoneyError> {
        match minor_units {
            ..=0 => Err(MoneyError::NotPositive),
            1..=MAX_AMOUNT_MINOR_UNITS => Ok(Self(minor_units)),
            _ => Err(MoneyError::TooLarge),
        }
    }

    /// The amount in minor units.
    pub fn minor_units(self) -> i64 {
        self.0
    }
}

/// Writes a total as a decimal number with all the currency's decimals: `-0.05`, `100.00`, `7` (JPY).
pub fn format_minor_units(total: i128, currency: Currency) -> String {
    let scale = 10_u128.pow(currency.exponent());
    let magnitude = total.unsigned_abs();
    let sign = if total < 0 { "-" } else { "" };
    let (whole, fraction) = (magnitude / scale, magnitude % scale);
    match usize::from(currency.exponent) {
        0 => format!("{sign}{whole}"),
        decimals => format!("{sign}{whole}.{fraction:0decimals$}"),
    }
}

#[cfg(test)]
mod tests;
