//! The short way to a day that is in the cache: no parameter, no demand, nothing to wait for.

use std::future::{Future, Ready};

use axum::http::{Method, Request, Uri};
use ledger::{Account, AccountKey, BusinessDate};
use protocol::query::EntryKey;
use service::http::{Answered, ShortWay, Taken, body::RequestBody};

use super::{
    Api, DAY,
    parameters::{MIN_POSITION, WAIT_MS},
    respond,
};
use crate::{read::Representation, reader::Served};

/// Answers for `GET /v1/accounts/{account}/days/{date}` from the cache, and nothing else.
pub(crate) struct CachedDays(pub(crate) Api);

impl ShortWay for CachedDays {
    const ROUTE: &'static str = DAY;

    fn recognises(&self, method: &Method, uri: &Uri) -> bool {
        *method == Method::GET && uri.query().is_none() && account_and_date(uri.path()).is_some()
    }

    fn take(&self, request: Request<RequestBody>) -> Taken<impl Future<Output = Answered> + Send> {
        match self.find(&request) {
            Some(served) => {
                let (head, _body) = request.into_parts();
                Taken::<Ready<Answered>>::Answered(Ok(respond::served(&served, head.headers)))
            }
            None => Taken::Refused(request),
        }
    }
}

impl CachedDays {
    /// The answer, if it is cached. Whatever is wrong with the request, the router says what.
    fn find(&self, request: &Request<RequestBody>) -> Option<Served> {
        let (api, headers) = (&self.0, request.headers());
        if headers.contains_key(MIN_POSITION) || headers.contains_key(WAIT_MS) {
            return None;
        }
        let (account, date) = account_and_date(request.uri().path())?;
        let tenant = api.authenticator.tenant(headers).ok()?;
        let account = AccountKey { tenant, account: Account::parse(account).ok()? };
        let key = EntryKey { account, until: BusinessDate::parse(date).ok()?, representation: Representation::Day };
        api.reader.cached(&key)
    }
}

/// What stands in the path in place of both names of [`DAY`].
fn account_and_date(path: &str) -> Option<(&str, &str)> {
    let (account, rest) = path.strip_prefix("/v1/accounts/")?.split_once('/')?;
    Some((account, rest.strip_prefix("days/")?))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::body::Body;
    use ledger::Tenant;
    use protocol::{
        log::LogIdentity,
        notice::{Changed, Notice},
    };
    use retry::Shutdown;
    use service::Authenticator;
    use store::{EmbeddedConfig, EmbeddedStore};

    use super::*;
    use crate::{
        config::QueryConfig,
        http::answer::{Answer, Written},
        lanes::{Clock, Found, Lanes, Layout},
        metrics::ReadMetrics,
        read::Context,
        reader::Reader,
    };

    const PATH: &str = "/v1/accounts/a/days/2026-01-01";

    fn key() -> EntryKey<Representation> {
        let account = AccountKey { tenant: Tenant::parse("acme").unwrap(), account: Account::parse("a").unwrap() };
        EntryKey { account, until: BusinessDate::parse("2026-01-01").unwrap(), representation: Representation::Day }
    }

    /// One lane that has been heard of, with one day in its cache.
    fn with_a_day(folder: &testkit::TempDir) -> CachedDays {
        let store = EmbeddedStore::open(EmbeddedConfig::new(folder.path().join("store"))).unwrap();
        let config = QueryConfig::new(nowhere());
        let reader = Reader::new(Arc::new(store), &config, ReadMetrics::default(), Shutdown::new());
        let log = LogIdentity { epoch: 1, stream_id: "s".into(), partitions: 1 };
        let first_word_until = tokio::time::Instant::now();
        let layout =
            Layout { generation: 1, log: log.clone(), first_word_until, cache_bytes: 1 << 20, commits_are_whole: true };
        let lanes = reader.replace_lanes(Lanes::new(layout, Clock::start()));
        let lane = lanes.of(&key().account);
        lane.on_notice(&notice());
        let Found::Fill(ticket, _, _) = lane.read(&key(), 0) else { panic!("nothing is cached yet") };
        let written = Written { json: "{".to_owned(), takes_stamp: true, applied: 7 };
        let answer = Answer::new(Context { log: log.name(), generation: 1, partition: 0 }, &key(), written);
        lane.finish_fill(ticket, Some((Arc::new(answer), 100)));
        CachedDays(Api { reader: Arc::new(reader), authenticator: Authenticator::TrustedHeader })
    }

    fn notice() -> Notice {
        let changed = Changed::Accounts(Vec::new());
        let (generation, epoch, incarnation, partition, worker) = (1, 1, None, 0, Some(1));
        let (from, to, time_ms, end, replaying, stopped) = (0, 7, 1, 7, false, Vec::new());
        Notice {
            generation,
            epoch,
            incarnation,
            partition,
            worker,
            from,
            to,
            time_ms,
            end,
            replaying,
            log_is_whole: None,
            changed,
            stopped,
        }
    }

    fn nowhere() -> nats::ClientConfig {
        nats::ClientConfig {
            url: String::new(),
            name: String::new(),
            user: None,
            password: None,
            credentials_file: None,
            connect_timeout_ms: 1,
        }
    }

    fn is_answered(days: &CachedDays, request: Request<Body>) -> bool {
        let is_recognised = days.recognises(request.method(), request.uri());
        is_recognised && matches!(days.take(request.map(RequestBody::from)), Taken::Answered(Ok(_)))
    }

    fn request(path: &str) -> axum::http::request::Builder {
        Request::get(path).header("saldo-tenant", "acme")
    }

    #[test]
    fn a_cached_day_is_answered_and_nothing_else() {
        let folder = testkit::temp_folder().unwrap();
        let days = with_a_day(&folder);
        let empty = Body::empty;
        assert!(is_answered(&days, request(PATH).body(empty()).unwrap()));
        assert!(is_answered(&days, request(PATH).header("if-none-match", "*").body(empty()).unwrap()));
        let others = [
            request(PATH).method("HEAD"),
            request(PATH).header("saldo-tenant", "acme"),
            request(PATH).header("saldo-min-position", "1.0a1b2c3d.0.1"),
            request(PATH).header("saldo-wait-ms", "0"),
            Request::get(PATH),
            Request::get(PATH).header("saldo-tenant", "other"),
            request("/v1/accounts/a/days/2026-01-01?"),
            request("/v1/accounts/a/days/2026-01-02"),
            request("/v1/accounts/b/days/2026-01-01"),
            request("/v1/accounts/%61/days/2026-01-01"),
            request("/v1/accounts/a/balance"),
            request("/v1/accounts/a/days"),
        ];
        for other in others {
            let other = other.body(empty()).unwrap();
            let what = format!("{other:?}");
            assert!(!is_answered(&days, other), "{what}");
        }
    }
}
