use std::pin::pin;

use futures_util::{FutureExt, poll};
use proptest::prelude::*;

use super::*;

fn tenant(number: usize) -> Tenant {
    Tenant::parse(&format!("t{number}")).unwrap()
}

/// Takes one unit after the other until the pool refuses.
fn take_all(pool: &FairPool, tenant: &Tenant) -> Vec<Permit> {
    std::iter::from_fn(|| pool.try_take(tenant, 1)).collect()
}

#[test]
fn whoever_takes_all_leaves_a_quarter_and_the_next_one_its_share() {
    let pool = FairPool::new(64);
    let first = take_all(&pool, &tenant(0));
    assert_eq!(first.len(), 48);
    let second = take_all(&pool, &tenant(1));
    assert_eq!(second.len(), 12);
    assert_eq!(take_all(&pool, &tenant(2)).len(), 3);
    drop(first);
    assert_eq!(second.len() + take_all(&pool, &tenant(1)).len(), 48);
}

#[test]
fn a_pool_of_one_serves_whoever_holds_nothing() {
    let pool = FairPool::new(1);
    let only = pool.try_take(&tenant(0), 1).unwrap();
    assert!(pool.try_take(&tenant(1), 1).is_none());
    drop(only);
    assert!(pool.try_take(&tenant(1), 1).is_some());
}

#[test]
fn a_permit_grows_within_the_share_of_its_tenant() {
    let pool = FairPool::new(8);
    let mut permit = pool.try_take(&tenant(0), 4).unwrap();
    assert!(permit.grow(2) && !permit.grow(1) && permit.units() == 6);
    drop(permit);
    assert!(pool.try_take(&tenant(1), 8).is_some(), "everything was given back");
}

#[tokio::test]
async fn waiting_tenants_take_turns_however_many_requests_each_has() {
    let pool = FairPool::without_reserve(1);
    let holder = pool.try_take(&tenant(9), 1).unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let waits = [0, 0, 0, 0, 1, 2, 1].map(|number| {
        let (pool, order) = (pool.clone(), Arc::clone(&order));
        async move {
            let _permit = pool.take(&tenant(number)).await.unwrap();
            order.lock().unwrap().push(number);
        }
    });
    let all = futures_util::future::join_all(waits);
    let mut all = pin!(all);
    assert!(poll!(all.as_mut()).is_pending());
    drop(holder);
    all.await;
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 0, 1, 0, 0]);
}

#[tokio::test]
async fn a_request_that_goes_away_gives_its_turn_to_the_next_one() {
    let pool = FairPool::without_reserve(1);
    let holder = pool.try_take(&tenant(0), 1).unwrap();
    let (first, second, third) = (tenant(1), tenant(2), tenant(3));
    let mut gone = Box::pin(pool.take(&first));
    let mut granted_and_gone = Box::pin(pool.take(&second));
    let mut last = pin!(pool.take(&third));
    assert!(poll!(gone.as_mut()).is_pending() && poll!(granted_and_gone.as_mut()).is_pending());
    assert!(poll!(last.as_mut()).is_pending());
    drop(gone);
    drop(holder);
    drop(granted_and_gone);
    assert!(last.as_mut().now_or_never().flatten().is_some());
    assert!(pool.inner.lock().tenants.is_empty(), "nothing is remembered of who holds and wants nothing");
}

#[tokio::test]
async fn a_newcomer_passes_the_queue_of_one_who_has_his_share() {
    let pool = FairPool::new(4);
    let first = tenant(0);
    let held = take_all(&pool, &first);
    let mut waiting = pin!(pool.take(&first));
    assert!(poll!(waiting.as_mut()).is_pending());
    let newcomer = pool.take(&tenant(1)).now_or_never().flatten();
    assert!(newcomer.is_some());
    drop(held);
    assert!(waiting.as_mut().now_or_never().flatten().is_some());
}

#[derive(Clone, Debug)]
enum Step {
    Take(usize, usize),
    Give(prop::sample::Index),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0_usize..5, 1_usize..4).prop_map(|(tenant, units)| Step::Take(tenant, units)),
        2 => any::<prop::sample::Index>().prop_map(Step::Give),
    ];
    prop::collection::vec(step, 0..80)
}

proptest! {
    /// The rule once more, by adding up what is held.
    #[test]
    fn what_is_held_obeys_the_rule(units in 1_usize..40, steps in steps()) {
        let pool = FairPool::new(units);
        let mut held: Vec<(usize, Permit)> = Vec::new();
        for step in steps {
            match step {
                Step::Take(number, wanted) => {
                    let of = |who: Option<usize>| -> usize {
                        let mine = held.iter().filter(|(owner, _)| who.is_none_or(|who| who == *owner));
                        mine.map(|(_, permit)| permit.units()).sum()
                    };
                    let (free, mine) = (units - of(None), of(Some(number)));
                    let allowed = wanted <= free && (mine == 0 || mine + wanted <= 3 * (free - wanted));
                    let taken = pool.try_take(&tenant(number), wanted);
                    prop_assert_eq!(taken.is_some(), allowed);
                    held.extend(taken.map(|permit| (number, permit)));
                }
                Step::Give(index) if !held.is_empty() => drop(held.swap_remove(index.index(held.len()))),
                Step::Give(_) => {}
            }
        }
        drop(held);
        let state = pool.inner.lock();
        prop_assert!(state.free == units && state.tenants.is_empty());
    }
}
