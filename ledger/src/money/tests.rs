use proptest::prelude::*;

use super::*;

fn currency(code: &str) -> Currency {
    Currency::parse(code).unwrap()
}

fn too_many(code: &str) -> MoneyError {
    MoneyError::TooManyDecimals { currency: currency(code), allowed: currency(code).exponent() }
}

#[test]
fn exponents_are_those_of_iso_4217() {
    for (code, exponent) in
        [("BRL", 2), ("USD", 2), ("JPY", 0), ("BHD", 3), ("TND", 3), ("CLF", 4), ("UYW", 4), ("XOF", 0)]
    {
        assert_eq!(currency(code).exponent(), exponent, "{code}");
        assert_eq!(currency(code).code(), code);
    }
}

#[test]
fn codes_without_minor_units_and_unknown_ones_are_refused() {
    for code in ["XAU", "XAG", "XDR", "XTS", "XXX", "XBA", "brl", "Brl", "BR", "BRLL", "", " BRL", "R$", "ÄÖ"] {
        assert_eq!(Currency::parse(code), Err(MoneyError::UnknownCurrency(code.into())), "{code}");
    }
    assert!(Currency::parse(&"é".repeat(1_000)).unwrap_err().to_string().len() < 100);
}

#[test]
fn a_currency_in_json_is_its_code() {
    let brl: Currency = serde_json::from_str("\"BRL\"").unwrap();
    assert_eq!(serde_json::to_string(&brl).unwrap(), "\"BRL\"");
    assert!(serde_json::from_str::<Currency>("\"XAU\"").is_err());
}

#[test]
fn plain_decimals_are_exact() {
    let cases = [
        ("150.75", "BRL", 15_075),
        ("150", "BRL", 15_000),
        ("0.01", "BRL", 1),
        ("150.7", "BRL", 15_070),
        ("7", "JPY", 7),
        ("0.001", "BHD", 1),
        ("1.2345", "CLF", 12_345),
        ("10000000000000.00", "BRL", MAX_AMOUNT_MINOR_UNITS),
        ("1000000000000000", "JPY", MAX_AMOUNT_MINOR_UNITS),
        ("0.1", "BRL", 10),
    ];
    for (text, code, minor_units) in cases {
        assert_eq!(Amount::parse(text, currency(code)).map(Amount::minor_units), Ok(minor_units), "{text} {code}");
        assert_eq!(
            Amount::parse_number(text, currency(code)).map(Amount::minor_units),
            Ok(minor_units),
            "{text} {code}"
        );
    }
}

#[test]
fn what_is_no_plain_decimal_is_refused() {
    let texts = [
        "", " ", "1.", ".5", "+5", " 5", "5 ", "1,5", "1_000", "0x10", "--1", "-", "1.5.0", "NaN", "inf", "٣", "1e2",
        "1E2", "01", "00.5", "1.-5", "1.+5", "−5", "1\u{0}", "\"1\"",
    ];
    for text in texts {
        assert_eq!(Amount::parse(text, currency("BRL")), Err(MoneyError::NotDecimal), "{text:?}");
    }
}

#[test]
fn signs_zero_size_and_decimals_have_errors_of_their_own() {
    let cases = [
        ("-5", MoneyError::NotPositive),
        ("0", MoneyError::NotPositive),
        ("0.00", MoneyError::NotPositive),
        ("-0", MoneyError::NotPositive),
        ("15.500", too_many("BRL")),
        ("0.001", too_many("BRL")),
        ("0.000", too_many("BRL")),
        ("10000000000000.01", MoneyError::TooLarge),
        ("99999999999999999999999999", MoneyError::TooLarge),
    ];
    for (text, error) in cases {
        assert_eq!(Amount::parse(text, currency("BRL")), Err(error), "{text}");
    }
    assert_eq!(Amount::parse("1.0", currency("JPY")), Err(too_many("JPY")));
}

#[test]
fn numbers_may_have_an_exponent() {
    let cases = [
        ("1.5e2", Ok(15_000)),
        ("1.5075e2", Ok(15_075)),
        ("1.5075E+2", Ok(15_075)),
        ("15075e-2", Ok(15_075)),
        ("1e0", Ok(100)),
        ("5e-2", Ok(5)),
        ("0.5e-1", Ok(5)),
        ("1e13", Ok(MAX_AMOUNT_MINOR_UNITS)),
        ("1e00000000000000000000000000", Ok(100)),
        ("1e14", Err(MoneyError::TooLarge)),
        ("1e999999999", Err(MoneyError::TooLarge)),
        ("1e99999999999999999999999999", Err(MoneyError::TooLarge)),
        ("0e999999999", Err(MoneyError::NotPositive)),
        ("-1e2", Err(MoneyError::NotPositive)),
        ("1e-999999999", Err(too_many("BRL"))),
        ("1500e-3", Err(too_many("BRL"))),
        ("150.7500e0", Err(too_many("BRL"))),
        ("1e", Err(MoneyError::NotDecimal)),
        ("1e+", Err(MoneyError::NotDecimal)),
        ("1e1.5", Err(MoneyError::NotDecimal)),
        ("e5", Err(MoneyError::NotDecimal)),
        ("1.e5", Err(MoneyError::NotDecimal)),
    ];
    for (text, minor_units) in cases {
        assert_eq!(Amount::parse_number(text, currency("BRL")).map(Amount::minor_units), minor_units, "{text}");
    }
}

#[test]
fn totals_are_written_with_all_decimals() {
    let cases = [
        (-5, "BRL", "-0.05"),
        (10_000, "BRL", "100.00"),
        (7, "JPY", "7"),
        (-7, "JPY", "-7"),
        (0, "BRL", "0.00"),
        (1, "BHD", "0.001"),
        (-12_345, "CLF", "-1.2345"),
        (i128::MAX, "BRL", "1701411834604692317316873037158841057.27"),
        (i128::MIN, "JPY", "-170141183460469231731687303715884105728"),
    ];
    for (total, code, text) in cases {
        assert_eq!(format_minor_units(total, currency(code)), text);
    }
}

proptest! {
    #[test]
    fn every_amount_reads_as_it_was_written(minor_units in 1..=MAX_AMOUNT_MINOR_UNITS, code in "BRL|JPY|BHD|CLF") {
        let text = format_minor_units(i128::from(minor_units), currency(&code));
        prop_assert_eq!(Amount::parse(&text, currency(&code)).map(Amount::minor_units), Ok(minor_units));
        let number = format!("{minor_units}e-{}", currency(&code).exponent());
        prop_assert_eq!(Amount::parse_number(&number, currency(&code)).map(Amount::minor_units), Ok(minor_units));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,12}|[-+0-9.eE]{0,14}") {
        let plain = Amount::parse(&text, currency("BRL"));
        if plain.is_ok() {
            prop_assert_eq!(&plain, &Amount::parse_number(&text, currency("BRL")));
            prop_assert!(serde_json::from_str::<f64>(&text).is_ok());
        }
    }
}
