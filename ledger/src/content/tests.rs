use super::*;
use crate::Reason;

const OCCURRED_AT: &str = "2026-11-22T10:00:00-03:00";

fn parts(others: &[u8]) -> Parts<'_> {
    let currency = Currency::parse("BRL").unwrap();
    Parts {
        kind: Kind::Credit,
        amount: Amount::from_minor_units(15_075).unwrap(),
        currency,
        occurred_at: None,
        description: None,
        category: None,
        others,
    }
}

fn encoded_others(json: &str) -> Result<Vec<u8>, Reason> {
    let encoding = encode_members(&[(Cow::Borrowed("x"), json)]).map_err(|invalid| invalid.reason)?;
    let value = encoding.strip_prefix(b"{\"\x01x").unwrap().strip_suffix(b"}").unwrap();
    Ok(value.to_vec())
}

/// These digests are stored: a change here is a change of what counts as the same launch, and never right.
#[test]
fn the_definition_has_not_drifted() {
    let none = encode_members(&[]).unwrap();
    let bare = parts(&none);
    assert_eq!(encode(&bare), b"C\0\0\0\0\0\0\x3a\xe3BRLnnn{}");
    assert_eq!(Content::of(&bare).0.to_string(), "4bac95da66abd13df376b425c28c0b74");

    let others = [
        (Cow::Borrowed("z"), " [1, 1.0,-2e+3 , true,false,null] "),
        (Cow::Borrowed("order"), r#"{"b" : "caf\u00e9" , "a":{}, "":[]}"#),
    ];
    let others = encode_members(&others).unwrap();
    let full = Parts {
        kind: Kind::Debit,
        occurred_at: Some(OCCURRED_AT),
        description: Some("café"),
        category: Some(""),
        ..parts(&others)
    };
    let expected: &[&[u8]] = &[
        b"D\0\0\0\0\0\0\x3a\xe3BRL",
        b"\"\x192026-11-22T10:00:00-03:00\"\x05caf\xc3\xa9\"\0",
        b"{\"\x05order{\"\0[]\"\x01a{}\"\x01b\"\x05caf\xc3\xa9}\"\x01z[#\x011#\x031.0#\x05-2e+3tfn]}",
    ];
    assert_eq!(encode(&full), expected.concat());
    assert_eq!(Content::of(&full).0.to_string(), "014321399eb99ee709c63479d71cf43f");
    assert_eq!(Digest::of(b"launch-1").to_string(), "9c2c95cb3e33b64ddc95045db080fb9d");
}

#[test]
fn short_and_long_encodings_are_the_same() {
    for length in 0..300 {
        let text = "é".repeat(length);
        let others = encode_members(&[(Cow::Borrowed("x"), "1")]).unwrap();
        for others in [b"{}".as_slice(), &others] {
            let given = Parts {
                occurred_at: Some(OCCURRED_AT),
                description: Some(&text),
                category: Some(&text),
                ..parts(others)
            };
            assert_eq!(Content::of(&given).0, Digest::of(&encode(&given)), "{length}");
        }
    }
}

#[test]
fn lengths_are_leb128() {
    let text = "a".repeat(300);
    let json = format!("\"{text}\"");
    assert_eq!(encoded_others(&json).unwrap(), [b"\"\xac\x02", text.as_bytes()].concat());
    let text = "a".repeat(127);
    let json = format!("\"{text}\"");
    assert_eq!(encoded_others(&json).unwrap(), [b"\"\x7f", text.as_bytes()].concat());
}

#[test]
fn strings_are_compared_unescaped_and_numbers_as_given() {
    let cases = [
        (r#""\u0061\/\n""#, b"\"\x03a/\n".as_slice()),
        (r#""\ud83d\ude00""#, "\"\u{4}😀".as_bytes()),
        (r#""\"\\""#, b"\"\x02\"\\"),
        ("1.50", b"#\x041.50"),
        ("1E400", b"#\x051E400"),
        ("[ ]", b"[]"),
        ("[[\t],\r\n{ } ]", b"[[]{}]"),
        (r#"{"\u0062":1,"a":2}"#, b"{\"\x01a#\x012\"\x01b#\x011}"),
    ];
    for (json, encoding) in cases {
        assert_eq!(encoded_others(json).unwrap(), encoding, "{json}");
    }
}

#[test]
fn keys_twice_at_any_depth_and_half_characters_are_malformed() {
    for json in [r#"{"a":1,"a":1}"#, r#"[{"b":{"a":1,"\u0061":2}}]"#, r#""\ud83d""#, r#"{"\ude00":1}"#] {
        assert_eq!(encoded_others(json), Err(Reason::Malformed), "{json}");
    }
}

#[test]
fn excerpts_are_short_and_end_between_characters() {
    assert_eq!(excerpt("café"), "café");
    assert_eq!(excerpt(&"é".repeat(10_000)).chars().count(), 161);
}
