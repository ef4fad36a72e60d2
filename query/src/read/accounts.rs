//! The accounts of a tenant, page by page.

use ledger::{Account, Tenant};
use protocol::log::LogName;
use store::{Store, StoreError};

use super::statement::write_end;
use crate::http::cursor;

/// Which accounts.
#[derive(Clone, Debug)]
pub(crate) struct AccountsPage {
    pub(crate) tenant: Tenant,
    pub(crate) after: Option<Account>,
    pub(crate) limit: u16,
}

/// A page of accounts as JSON.
pub(crate) async fn accounts(store: &dyn Store, log: LogName, page: &AccountsPage) -> Result<String, StoreError> {
    let limit = usize::from(page.limit);
    let names = store.accounts(&page.tenant, page.after.as_ref(), limit + 1).await?;
    let mut json = String::from("{\"items\":[");
    for (index, name) in names.iter().take(limit).enumerate() {
        json.push_str(if index == 0 { "{\"account\":\"" } else { ",{\"account\":\"" });
        json.push_str(name.as_str());
        json.push_str("\"}");
    }
    let last = names.get(limit).and_then(|_| names.get(limit - 1));
    let next = last.map(|last| cursor::of_account(log, &page.tenant, last));
    write_end(&mut json, next.as_deref());
    Ok(json)
}
