mod rendering;

use proptest::prelude::*;
use rendering::{any_launch, render};

use super::*;

const LOGGED: &str = r#"{"id":"a-1","tenant":"acme","account":"store-17","date":"2026-11-22","kind":"credit","amount":"150.75","currency":"BRL","occurred_at":"2026-11-22T10:00:00-03:00","description":"coffee","category":"sales"}"#;
const POSTED: &str = r#"{"account":"store-17","kind":"debit","amount":20,"currency":"BRL"}"#;

fn acme() -> Tenant {
    Tenant::parse("acme").unwrap()
}

/// One of many secrets.
fn secret(number: u64) -> FingerprintSecret {
    FingerprintSecret::new(Digest::of(&number.to_le_bytes()).0)
}

fn posted(line: &str) -> Result<Draft<'_>, Reason> {
    parse_posted(line.as_bytes(), &acme()).map_err(|invalid| invalid.reason)
}

fn logged(line: &str) -> Result<Launch, Reason> {
    parse_logged(line.as_bytes()).map_err(|invalid| invalid.reason)
}

fn wire_line(draft: &Draft<'_>) -> Result<Vec<u8>, Invalid> {
    let id = draft.id.clone().unwrap_or_else(|| LaunchId::parse("made-up:1").unwrap());
    let mut line = b"before".to_vec();
    let date = draft.date.unwrap_or_else(|| BusinessDate::parse("2026-11-22").unwrap());
    let result = draft.write_line(&acme(), &id, date, &mut line);
    let rest = line.strip_prefix(b"before").unwrap().to_vec();
    assert_eq!(rest.is_empty(), result.is_err());
    result.map(|()| rest)
}

/// `LOGGED` or `POSTED` with another value for a field, or without it.
fn with(line: &str, field: &str, json: Option<&str>) -> String {
    let mut object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
    object.remove(field);
    let rest = serde_json::to_string(&object).unwrap();
    match json {
        Some(json) => format!("{{\"{field}\":{json},{}", &rest[1..]),
        None => rest,
    }
}

#[test]
fn a_logged_line_is_read_whole() {
    let launch = logged(LOGGED).unwrap();
    assert_eq!(launch.tenant, acme());
    assert_eq!(launch.account.as_str(), "store-17");
    assert_eq!(launch.date.to_string(), "2026-11-22");
    assert_eq!(launch.id.as_str(), "a-1");
    assert_eq!((launch.kind, launch.amount.minor_units(), launch.currency.code()), (Kind::Credit, 15_075, "BRL"));
    assert_eq!(launch.id_digest, Digest::of(b"a-1"));
    assert_eq!(launch.content_digest.to_string(), "ed84901c8e0eea5c0a87efb697c8b13e");
}

#[test]
fn a_posted_line_may_leave_out_what_ingest_knows() {
    let draft = posted(POSTED).unwrap();
    assert_eq!((draft.id.as_ref(), draft.date, draft.occurred_at_ns), (None, None, None));
    assert_eq!((draft.kind, draft.amount.minor_units()), (Kind::Debit, 2_000));
    let draft = posted(LOGGED).unwrap();
    assert_eq!(draft.occurred_at.as_deref(), Some("2026-11-22T10:00:00-03:00"));
    assert_eq!(draft.occurred_at_ns, Some(1_795_352_400_000_000_000));
    assert_eq!(draft.content_digest(), logged(LOGGED).unwrap().content_digest);
}

#[test]
fn each_mistake_has_its_reason() {
    let cases = [
        ("id", "\"\"", Reason::InvalidIdentifier),
        ("id", "\"a b\"", Reason::InvalidIdentifier),
        ("id", "7", Reason::Malformed),
        ("account", "\"a.b\"", Reason::InvalidIdentifier),
        ("account", "null", Reason::MissingField),
        ("account", "[[{\"a\":1}]]", Reason::Malformed),
        ("date", "\"2026-11-31\"", Reason::InvalidDate),
        ("date", "\"1899-12-31\"", Reason::InvalidDate),
        ("date", "20261122", Reason::Malformed),
        ("occurred_at", "\"2026-11-22T10:00:00\"", Reason::InvalidTime),
        ("occurred_at", "1.5", Reason::Malformed),
        ("kind", "\"Credit\"", Reason::InvalidKind),
        ("kind", "true", Reason::Malformed),
        ("currency", "\"brl\"", Reason::InvalidCurrency),
        ("currency", "\"XAU\"", Reason::InvalidCurrency),
        ("amount", "\"1e2\"", Reason::InvalidAmount),
        ("amount", "\"0\"", Reason::InvalidAmount),
        ("amount", "-1", Reason::InvalidAmount),
        ("amount", "1.001", Reason::InvalidAmount),
        ("amount", "1e999999999", Reason::InvalidAmount),
        ("amount", "\"\"", Reason::InvalidAmount),
        ("amount", "{}", Reason::Malformed),
        ("amount", "false", Reason::Malformed),
        ("amount", "null", Reason::MissingField),
        ("amount", "\"\\ud800\"", Reason::Malformed),
        ("description", "1", Reason::Malformed),
        ("category", "{}", Reason::Malformed),
    ];
    for (field, json, reason) in cases {
        let line = with(LOGGED, field, Some(json));
        assert_eq!(logged(&line), Err(reason), "logged {line}");
        assert_eq!(posted(&line).map(|_| ()), Err(reason), "posted {line}");
    }
    for field in ["account", "kind", "amount", "currency"] {
        assert_eq!(logged(&with(LOGGED, field, None)), Err(Reason::MissingField), "{field}");
        assert_eq!(posted(&with(POSTED, field, None)).map(|_| ()), Err(Reason::MissingField), "{field}");
    }
}

#[test]
fn the_log_needs_id_tenant_and_date() {
    assert_eq!(logged(&with(LOGGED, "id", None)), Err(Reason::MissingField));
    assert_eq!(logged(&with(LOGGED, "tenant", None)), Err(Reason::MissingField));
    assert_eq!(logged(&with(LOGGED, "tenant", Some("\"a.b\""))), Err(Reason::InvalidIdentifier));
    assert_eq!(logged(&with(LOGGED, "date", None)), Err(Reason::MissingDate));
    assert_eq!(logged(&with(LOGGED, "date", Some("null"))), Err(Reason::MissingDate));
}

#[test]
fn an_unknown_type_comes_before_other_mistakes_on_the_log() {
    assert_eq!(logged(&with(LOGGED, "type", Some("\"launch\""))), logged(LOGGED));
    for line in [
        r#"{"type":"reversal"}"#,
        r#"{"type":"close","date":7,"amount":{},"description":[1]}"#,
        r#"{"type":3}"#,
        r#"{"type":"Launch"}"#,
        r#"{"tenant":"a b","id":[],"type":"later"}"#,
    ] {
        assert_eq!(logged(line), Err(Reason::UnknownType), "{line}");
    }
}

#[test]
fn callers_may_not_set_another_type_or_tenant() {
    assert!(posted(&with(POSTED, "type", Some("\"launch\""))).is_ok());
    assert!(posted(&with(POSTED, "tenant", Some("\"acme\""))).is_ok());
    assert_eq!(posted(&with(POSTED, "type", Some("\"reversal\""))).map(|_| ()), Err(Reason::ReservedField));
    assert_eq!(posted(&with(POSTED, "tenant", Some("\"other\""))).map(|_| ()), Err(Reason::ReservedField));
}

#[test]
fn fields_that_answers_add_are_reserved_for_callers_and_count_on_the_log() {
    for name in ["position", "v", "by", "digest"] {
        for json in ["\"till 3\"", "null", "{}"] {
            let refused = parse_posted(with(POSTED, name, Some(json)).as_bytes(), &acme()).map(|_| ()).unwrap_err();
            assert_eq!(refused.reason, Reason::ReservedField, "{name} {json}");
            assert!(refused.detail.starts_with(name), "{refused}");
            assert!(
                logged(&with(LOGGED, name, Some(json))).is_ok(),
                "{name} {json}: a replay counts what counted before"
            );
        }
    }
    assert_eq!(posted(&with(POSTED, "p\\u006fsition", Some("1"))).map(|_| ()), Err(Reason::ReservedField));
    for free in ["Position", "positions", "till"] {
        assert!(posted(&with(POSTED, free, Some("{\"position\":1,\"v\":2}"))).is_ok(), "{free}");
    }
}

#[test]
fn what_is_no_json_object_is_malformed() {
    let lines: [&[u8]; 12] = [
        b"",
        b"   ",
        b"null",
        b"[]",
        b"\"launch\"",
        b"7",
        b"{",
        b"{}{}",
        b"{\"a\":1,}",
        b"{\"a\" 1}",
        b"\xef\xbb\xbf{}",
        b"{\"a\":\"\xff\"}",
    ];
    for line in lines {
        assert_eq!(parse_logged(line).unwrap_err().reason, Reason::Malformed, "{line:?}");
    }
    let long = format!("\"{}\"", "é".repeat(20_000));
    assert!(parse_logged(long.as_bytes()).unwrap_err().detail.len() < 400);
}

#[test]
fn keys_stand_once_at_any_depth() {
    for extra in [
        r#""id":"a-1""#,
        r#""amount":"150.75""#,
        r#""\u0069d":"a-1""#,
        r#""x":1,"x":1"#,
        r#""x":{"y":1,"y":1}"#,
        r#""x":[[{"y":1,"\u0079":1}]]"#,
    ] {
        let line = format!("{},{extra}}}", LOGGED.strip_suffix('}').unwrap());
        assert_eq!(logged(&line), Err(Reason::Malformed), "{line}");
    }
    let line = with(POSTED, "id", Some(r#"null,"id":"a-1""#));
    assert_eq!(posted(&line).map(|_| ()), Err(Reason::Malformed));
}

#[test]
fn null_is_nothing_where_saldo_reads_and_something_elsewhere() {
    let mut line = with(LOGGED, "description", Some("null"));
    line = with(&line, "category", Some("null"));
    line = with(&line, "occurred_at", Some("null"));
    let mut without = with(LOGGED, "description", None);
    without = with(&without, "category", None);
    without = with(&without, "occurred_at", None);
    assert_eq!(logged(&line), logged(&without));
    assert_ne!(logged(&with(LOGGED, "mine", Some("null"))), logged(LOGGED));
    assert_ne!(logged(&with(LOGGED, "description", Some("\"\""))), logged(&with(LOGGED, "description", None)));
}

#[test]
fn lengths_are_counted_in_characters_and_depth_from_the_line() {
    let text = |count| format!("\"{}\"", "é".repeat(count));
    for (field, max) in [("description", 1_024), ("category", 64)] {
        assert!(logged(&with(LOGGED, field, Some(&text(max)))).is_ok());
        assert_eq!(logged(&with(LOGGED, field, Some(&text(max + 1)))), Err(Reason::TextTooLong));
    }
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(logged(&with(LOGGED, "x", Some(&nested(MAX_DEPTH - 1)))).is_ok());
    assert_eq!(logged(&with(LOGGED, "x", Some(&nested(MAX_DEPTH)))), Err(Reason::TooDeep));
    assert_eq!(logged(&with(LOGGED, "x", Some(&nested(20_000)))), Err(Reason::TooDeep));
}

#[test]
fn long_lines_are_refused_when_read_and_when_written() {
    let posted_with = |filler: usize| with(POSTED, "x", Some(&format!("\"{}\"", "a".repeat(filler))));
    let overhead = posted_with(0).len();
    let longest = posted_with(MAX_LINE_BYTES - overhead);
    assert_eq!(longest.len(), MAX_LINE_BYTES);
    assert_eq!(wire_line(&posted(&longest).unwrap()).unwrap_err().reason, Reason::LineTooLong);
    assert_eq!(posted(&posted_with(MAX_LINE_BYTES - overhead + 1)).map(|_| ()), Err(Reason::LineTooLong));
    let fits = posted_with(MAX_LINE_BYTES - overhead - 200);
    assert!(parse_logged(&wire_line(&posted(&fits).unwrap()).unwrap()).is_ok());
}

#[test]
fn the_wire_line_is_canonical() {
    let line = "{\"mine\" : {\"a\":[1,\r\n\t2], \"b\":\" \\n\"},\"category\":\"a\\u0001\\/\\\"\",\r\n\"amount\":1.5e2,\"type\":\"launch\",\
                \"currency\":\"BRL\",\"occurred_at\":\"2026-11-22t10:00:00z\",\"kind\":\"credit\",\"account\":\"till\",\"k\\ny\":null}";
    let written = wire_line(&posted(line).unwrap()).unwrap();
    let expected = "{\"id\":\"made-up:1\",\"tenant\":\"acme\",\"account\":\"till\",\"date\":\"2026-11-22\",\"kind\":\"credit\",\
                    \"amount\":\"150.00\",\"currency\":\"BRL\",\"occurred_at\":\"2026-11-22t10:00:00z\",\
                    \"category\":\"a\\u0001/\\\"\",\"mine\":{\"a\":[1,\t2], \"b\":\" \\n\"},\"k\\ny\":null}";
    assert_eq!(String::from_utf8(written).unwrap(), expected);
}

#[test]
fn content_is_what_a_launch_says_and_not_which_one_it_is() {
    let digest = |line: &str| logged(line).unwrap().content_digest;
    let same = [
        ("amount", "150.75"),
        ("amount", "1.5075e2"),
        ("amount", "\"\\u003150.75\""),
        ("id", "\"b\""),
        ("account", "\"b\""),
        ("tenant", "\"b\""),
        ("date", "\"2026-11-23\""),
        ("type", "\"launch\""),
        ("description", "\"\\u0063offee\""),
    ];
    for (field, json) in same {
        assert_eq!(digest(&with(LOGGED, field, Some(json))), digest(LOGGED), "{field} {json}");
    }
    let other = [
        ("amount", "150.76"),
        ("currency", "\"USD\""),
        ("kind", "\"debit\""),
        ("occurred_at", "\"2026-11-22T13:00:00Z\""),
        ("description", "\"Coffee\""),
        ("category", "\"sale\""),
        ("x", "1"),
    ];
    for (field, json) in other {
        assert_ne!(digest(&with(LOGGED, field, Some(json))), digest(LOGGED), "{field} {json}");
    }
    let moved = with(&with(LOGGED, "description", Some("\"sales\"")), "category", Some("\"coffee\""));
    assert_ne!(digest(&moved), digest(LOGGED));
    let (one, two) = (with(LOGGED, "x", Some("1")), with(LOGGED, "x", Some("1.0")));
    assert_ne!(digest(&one), digest(&two));
}

/// What is read of a line, once with the short way for plain lines and once without.
fn both_ways(text: &str) -> [Result<Object<'_>, Invalid>; 2] {
    [Object::read(text.as_bytes()), Object::read_any(text)]
}

#[test]
fn plain_lines_are_read_in_one_pass() {
    let plain = with(LOGGED, "x", Some("-1.5E+3"));
    let spaced = "\t{ \r\n\"id\" :\"é\" , \"mine\":true,\"amount\": null ,\"kind\":null}\n ";
    for line in [LOGGED, POSTED, "{}", " { } ", &plain, spaced] {
        assert!(plain::read(line).is_some(), "{line}");
    }
}

#[test]
fn what_is_not_plain_is_left_to_the_parser() {
    let values = [
        "0",
        "-0",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "1e+",
        "1E-7",
        "0x1",
        "1.5e2",
        "+1",
        "tru",
        "true",
        "nulls",
        "null",
        "false1",
        "[]",
        "{}",
        "[1]",
        "\"\"",
        "\"",
        "\"a",
        "\"\\n\"",
        "\"\u{1}\"",
        "\"\u{7f}é\"",
        "\"12345678\"",
        "\"1234567\u{1f}\"",
        "\"12345678\\\"\"",
        "",
        "1 2",
        "NaN",
        "'a'",
        "\"a\"\"b\"",
        "\"\u{0}\"",
        "\"!!!!!!!\\\\\"",
        "\"\u{20}#\"",
        "-é",
    ];
    for key in ["id", "amount", "x", "type", "i\\u0064", ""] {
        for value in values {
            for end in ["}", " } ", "", ",}", "}}", "} x", ",\"id\":\"b\"}", ",\"amount\":1}", ",\"x\":1}", "\u{0}}"] {
                let line = format!("{{\"{key}\":{value}{end}");
                let [short, long] = both_ways(&line);
                assert_eq!(short, long, "{line}");
            }
        }
    }
}

proptest! {
    #[test]
    fn the_short_way_reads_what_the_parser_reads(
        launch in any_launch(), style in any::<u64>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"\"\\{}[]:,0-9.eE+ \t\n\x01\x1ftn".to_vec()), 0..3_u8), 0..4)
    ) {
        let mut line = render(&launch, style).into_bytes();
        for (at, byte, edit) in edits {
            let index = at.index(line.len());
            match edit {
                0 => line[index] = byte,
                1 => line.insert(index, byte),
                _ => drop(line.remove(index)),
            }
            if line.is_empty() {
                line.push(byte);
            }
        }
        if let Ok(text) = std::str::from_utf8(&line) {
            let [short, long] = both_ways(text);
            prop_assert_eq!(short, long, "{}", text);
        }
    }

    #[test]
    fn amounts_are_written_as_totals_are(minor_units in prop_oneof![1..200_000_i64, 1..=crate::MAX_AMOUNT_MINOR_UNITS], code in prop::sample::select(vec!["JPY", "BRL", "KWD", "CLF"])) {
        let currency = Currency::parse(code).unwrap();
        let amount = crate::format_minor_units(minor_units.into(), currency);
        let line = with(&with(LOGGED, "currency", Some(&format!("\"{code}\""))), "amount", Some(&format!("\"{amount}\"")));
        let written = String::from_utf8(wire_line(&posted(&line).unwrap()).unwrap()).unwrap();
        let expected = format!("\"amount\":\"{amount}\",");
        prop_assert!(written.contains(&expected), "{}", written);
    }
}

proptest! {
    #[test]
    fn how_a_launch_is_written_makes_no_difference(launch in any_launch(), styles in any::<[u64; 2]>()) {
        let lines = styles.map(|style| render(&launch, style));
        let [one, two] = [posted(&lines[0]).unwrap(), posted(&lines[1]).unwrap()];
        prop_assert_eq!(one.content_digest(), two.content_digest(), "{} {}", &lines[0], &lines[1]);
        let [secret, other_secret] = [1, 2].map(secret);
        prop_assert_eq!(one.content_fingerprint(&secret), two.content_fingerprint(&secret), "{} {}", &lines[0], &lines[1]);
        prop_assert_ne!(one.content_fingerprint(&secret), one.content_fingerprint(&other_secret));
        for draft in [one, two] {
            let written = wire_line(&draft).unwrap();
            prop_assert!(!written.iter().any(|byte| matches!(byte, b'\n' | b'\r')));
            let launch = parse_logged(&written).unwrap();
            prop_assert_eq!(launch.content_digest, draft.content_digest());
            let logged = parse_logged_with_fingerprint(&written, &secret).unwrap();
            prop_assert_eq!(logged, (launch.clone(), draft.content_fingerprint(&secret)));
            prop_assert_eq!((&launch.account, launch.kind, launch.amount), (&draft.account, draft.kind, draft.amount));
            let again = parse_posted(&written, &acme()).unwrap();
            prop_assert_eq!(wire_line(&again).unwrap(), written);
        }
    }

    #[test]
    fn another_value_anywhere_is_another_content(launch in any_launch(), other in any_launch(), style in any::<u64>()) {
        let digest = |launch| posted(&render(launch, style)).unwrap().content_digest();
        prop_assert_eq!(digest(&launch) == digest(&other), launch == other);
        let mut changed = launch.clone();
        changed.insert("one more".to_owned(), serde_json::Value::Null);
        prop_assert_ne!(digest(&launch), digest(&changed));
        let fingerprint = |launch| posted(&render(launch, style)).unwrap().content_fingerprint(&secret(1));
        prop_assert_eq!(fingerprint(&launch) == fingerprint(&other), launch == other);
        prop_assert_ne!(fingerprint(&launch), fingerprint(&changed));
    }

    #[test]
    fn any_bytes_are_read_or_refused(launch in any_launch(), style in any::<u64>(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut line = render(&launch, style).trim_end().as_bytes().to_vec();
        let index = at.index(line.len());
        line[index] = byte;
        if let Ok(draft) = parse_posted(&line, &acme()) {
            prop_assert_eq!(parse_logged(&wire_line(&draft).unwrap()).unwrap().content_digest, draft.content_digest());
        }
        let cut = parse_posted(&line[..index], &acme());
        prop_assert!(cut.is_err());
    }
}
