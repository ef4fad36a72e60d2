//! One handler a route: read the parameters, ask the reader, answer.

use axum::extract::State;
use ledger::{AccountKey, BusinessDate, WindowKey};
use protocol::{log::LogName, query::EntryKey};
use service::{http::Answered, problem::Problem};

use super::{
    Api,
    asked::Asked,
    cursor,
    parameters::{MAX_RANGE_DAYS, Parameters, invalid},
    respond,
};
use crate::read::{AccountsPage, Representation};

/// `GET /v1/accounts/{account}/days/{date}`
pub(super) async fn day(State(api): State<Api>, asked: Asked) -> Answered {
    asked.parameters(&[])?;
    let key = EntryKey { account: asked.account()?, until: asked.date()?, representation: Representation::Day };
    answer(&api, &key, asked).await
}

/// `GET /v1/accounts/{account}/balance`
pub(super) async fn balance(State(api): State<Api>, asked: Asked) -> Answered {
    asked.parameters(&[])?;
    let account = asked.account()?;
    let key = EntryKey { account, until: BusinessDate::MAX, representation: Representation::Balance };
    answer(&api, &key, asked).await
}

/// `GET /v1/accounts/{account}/days?from=&to=`
pub(super) async fn days(State(api): State<Api>, asked: Asked) -> Answered {
    let account = asked.account()?;
    let parameters = asked.parameters(&["from", "to", "include_empty", "limit", "cursor"])?;
    let (from, to) = range(&parameters)?;
    let include_empty = parameters.flag("include_empty")?;
    let limit = parameters.limit()?;
    let from = match parameters.text("cursor") {
        None => from,
        Some(cursor) => page_start(cursor, log(&api, &asked).await?, &account, from, to)?,
    };
    let representation = Representation::Days { from, include_empty, limit };
    answer(&api, &EntryKey { account, until: to, representation }, asked).await
}

/// `GET /v1/accounts/{account}/launches?date=`
pub(super) async fn launches(State(api): State<Api>, asked: Asked) -> Answered {
    let account = asked.account()?;
    let parameters = asked.parameters(&["date", "limit", "cursor"])?;
    let date = parameters.date("date")?;
    let limit = parameters.limit()?;
    let window = WindowKey { tenant: account.tenant.clone(), account: account.account.clone(), date };
    let after = match parameters.text("cursor") {
        None => None,
        Some(cursor) => Some(cursor::read_launch(cursor, log(&api, &asked).await?, &window)?),
    };
    let representation = Representation::Launches { after, limit };
    answer(&api, &EntryKey { account, until: date, representation }, asked).await
}

/// `GET /v1/accounts`
pub(super) async fn accounts(State(api): State<Api>, asked: Asked) -> Answered {
    let parameters = asked.parameters(&["limit", "cursor"])?;
    let tenant = asked.tenant.clone();
    let after = match parameters.text("cursor") {
        None => None,
        Some(cursor) => Some(cursor::read_account(cursor, log(&api, &asked).await?, &tenant)?),
    };
    let page = AccountsPage { tenant, after, limit: parameters.limit()? };
    let listed = api.reader.accounts(&page, &asked.wants()?).await?;
    respond::listed(listed, asked.headers)
}

async fn answer(api: &Api, key: &EntryKey<Representation>, asked: Asked) -> Answered {
    let served = api.reader.answer(key, &asked.wants()?).await?;
    Ok(respond::served(&served, asked.headers))
}

/// The log that a cursor must be of.
async fn log(api: &Api, asked: &Asked) -> Result<LogName, Problem> {
    Ok(api.reader.lanes_for(&asked.wants()?).await?.log.name())
}

/// Where a page of days begins. A cursor of another range is refused when its day lies outside of this one.
fn page_start(
    cursor: &str,
    log: LogName,
    account: &AccountKey,
    from: BusinessDate,
    to: BusinessDate,
) -> Result<BusinessDate, Problem> {
    let start = cursor::read_day(cursor, log, account, to)?;
    if start < from { Err(cursor::refused()) } else { Ok(start) }
}

/// First and last day of a range, both included.
fn range(parameters: &Parameters) -> Result<(BusinessDate, BusinessDate), Problem> {
    let (from, to) = (parameters.date("from")?, parameters.date("to")?);
    if from > to {
        return Err(invalid("from lies after to"));
    }
    if to.days() - from.days() >= MAX_RANGE_DAYS {
        return Err(invalid(format!("a range has at most {MAX_RANGE_DAYS} days")));
    }
    Ok((from, to))
}
