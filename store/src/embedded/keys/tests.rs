use bytes::Bytes;
use ledger::{Amount, Digest, Fact, Kind};
use proptest::prelude::*;

use super::*;

fn account_key() -> impl Strategy<Value = AccountKey> {
    // Few letters and short names: many are the beginning of another.
    let name = "[A-Za_-]{1,4}|[0-9A-Za-z_-]{1,64}";
    (name, name).prop_map(|(tenant, account)| AccountKey {
        tenant: Tenant::parse(&tenant).unwrap(),
        account: Account::parse(&account).unwrap(),
    })
}

fn date() -> impl Strategy<Value = BusinessDate> {
    (BusinessDate::MIN.days()..=BusinessDate::MAX.days()).prop_map(|days| BusinessDate::from_days(days).unwrap())
}

fn row() -> impl Strategy<Value = RowKey> {
    (0_usize..3, date(), 0_usize..3).prop_map(|(grain, start, currency)| RowKey {
        grain: Grain::ALL[grain],
        start,
        currency: Currency::parse(["BRL", "JPY", "USD"][currency]).unwrap(),
    })
}

fn place() -> impl Strategy<Value = Place> {
    (prop_oneof![0_u64..5, 250_u64..260, 65_530_u64..65_540, any::<u64>()], any::<u32>())
        .prop_map(|(sequence, line)| Place { sequence, line })
}

fn row_bytes(account: &AccountKey, row: &RowKey) -> Vec<u8> {
    let mut key = Vec::new();
    account_prefix(&mut key, account);
    put_row(&mut key, row);
    key
}

fn journal_chunk(account: &AccountKey, date: BusinessDate, first: Place, last: Place) -> JournalChunk {
    let fact = |place| Fact {
        place,
        id_digest: Digest::default(),
        content_digest: Digest::default(),
        kind: Kind::Credit,
        currency: Currency::parse("BRL").unwrap(),
        amount: Amount::from_minor_units(1).unwrap(),
        line: Bytes::new(),
    };
    let AccountKey { tenant, account } = account.clone();
    JournalChunk {
        window: WindowKey { tenant, account, date },
        bucket: 0,
        begins_window: true,
        facts: vec![fact(first), fact(last)],
    }
}

proptest! {
    #[test]
    fn rows_of_an_account_are_ordered_as_their_keys(account in account_key(), left in row(), right in row()) {
        let ordering = row_bytes(&account, &left).cmp(&row_bytes(&account, &right));
        prop_assert_eq!(ordering, left.cmp(&right));
        prop_assert_eq!(decode_row(&row_bytes(&account, &left)), Ok(left));
    }

    #[test]
    fn rows_of_two_accounts_are_apart(left in account_key(), right in account_key(), row in row()) {
        let mut prefix = Vec::new();
        account_prefix(&mut prefix, &left);
        prop_assert_eq!(row_bytes(&right, &row).starts_with(&prefix), left == right);
        let mut key = Vec::new();
        let of_left = spread(&mut key, &left.tenant, &left.account);
        prop_assert!(prefix.starts_with(&of_left));
        prop_assert_eq!(&key, &prefix);
        spread_account_prefix(&mut key, of_left, &left);
        prop_assert_eq!(&key, &prefix);
    }

    #[test]
    fn static_rows_come_before_all_others(account in account_key(), row in row()) {
        let mut prefix = Vec::new();
        account_prefix(&mut prefix, &account);
        prop_assert!(static_row(&prefix) < row_bytes(&account, &row));
    }

    #[test]
    fn account_names_are_ordered_and_come_back(left in account_key(), right in account_key()) {
        let (mut left_key, mut right_key, mut prefix) = (Vec::new(), Vec::new(), Vec::new());
        account_name(&mut left_key, &left);
        account_name(&mut right_key, &right);
        prop_assert_eq!(left_key.cmp(&right_key), left.cmp(&right));
        tenant_prefix(&mut prefix, &left.tenant);
        prop_assert!(left_key.starts_with(&prefix));
        prop_assert_eq!(decode_account_name(&left_key, prefix.len()), Ok(left.account));
        prop_assert_eq!(right_key.starts_with(&prefix), left.tenant == right.tenant);
    }

    #[test]
    fn chunks_of_a_class_are_ordered_and_found_before_a_place(
        account in account_key(), date in date(), mut places in (place(), place()), sought in place(),
    ) {
        if places.0 > places.1 {
            places = (places.1, places.0);
        }
        let (mut key, mut start, mut prefix) = (Vec::new(), Vec::new(), Vec::new());
        let one = journal_chunk(&account, date, places.0, places.1);
        window_prefix(&mut prefix, &one.window);
        let of_account = spread(&mut key, &account.tenant, &account.account);
        spread_window_prefix(&mut key, of_account, &one.window);
        prop_assert_eq!(&key, &prefix);
        put_chunk(&mut key, &one);
        prop_assert!(key.starts_with(&prefix));
        prop_assert_eq!(decode_chunk(&key), Ok(places));
        let class = key[prefix.len()];
        prop_assert!(SPAN_CLASSES.all().contains(&class));
        start.extend_from_slice(&prefix);
        put_class_start(&mut start, class, sought);
        if places.1 >= sought {
            prop_assert!(key >= start, "a chunk that reaches the place must not be passed over");
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = decode_row(&bytes);
        let _ = decode_chunk(&bytes);
        let _ = decode_account_name(&bytes, 3);
    }
}

#[test]
fn lanes_of_a_tenant_are_apart() {
    let tenant = Tenant::parse("acme").unwrap();
    let (mut first, mut second) = (Vec::new(), Vec::new());
    lane_prefix(&mut first, &tenant, 1);
    lane_prefix(&mut second, &tenant, 256);
    assert!(!second.starts_with(&first) && !first.starts_with(&second));
    assert!(partition(1, PartitionRow::Highest) < partition(256, PartitionRow::Head));
}
