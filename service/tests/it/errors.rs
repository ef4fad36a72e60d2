//! `docs/errors.md` explains every slug, and no other.

use std::collections::BTreeSet;

use ledger::Reason;
use service::problem::{ProblemKind, kinds};

/// Every reason; the match makes a new one fail to compile until it is listed.
fn reasons() -> Vec<Reason> {
    use Reason::*;
    let all = vec![
        Malformed,
        LineTooLong,
        TooDeep,
        MissingField,
        InvalidIdentifier,
        InvalidDate,
        InvalidTime,
        TimeInFuture,
        MissingDate,
        InvalidKind,
        InvalidAmount,
        InvalidCurrency,
        TextTooLong,
        ReservedField,
        UnknownType,
        WrongLane,
        Conflict,
    ];
    for reason in &all {
        match reason {
            Malformed | LineTooLong | TooDeep | MissingField | InvalidIdentifier | InvalidDate | InvalidTime
            | TimeInFuture | MissingDate | InvalidKind | InvalidAmount | InvalidCurrency | TextTooLong
            | ReservedField | UnknownType | WrongLane | Conflict => {}
        }
    }
    all
}

fn documented() -> BTreeSet<(String, String)> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/errors.md");
    let text = std::fs::read_to_string(page).unwrap();
    let rows = text.lines().filter_map(|line| {
        let (slug, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
        let (status, explanation) = rest.split_once(" | ")?;
        assert!(explanation.len() > 40, "{slug} is hardly explained");
        Some((slug.to_owned(), status.to_owned()))
    });
    rows.collect()
}

#[test]
fn the_page_and_the_code_name_the_same_slugs_and_statuses() {
    let row = |kind: ProblemKind| (kind.slug.to_owned(), kind.status.as_u16().to_string());
    let in_answers: BTreeSet<_> = kinds::ALL.iter().copied().map(row).collect();
    let on_the_log_only = [Reason::UnknownType, Reason::WrongLane];
    let of_launches = reasons().into_iter().map(|reason| match on_the_log_only.contains(&reason) {
        true => (reason.slug().to_owned(), "–".to_owned()),
        false => row(ProblemKind::of_reason(reason)),
    });
    assert_eq!(documented(), in_answers.into_iter().chain(of_launches).collect());
}
