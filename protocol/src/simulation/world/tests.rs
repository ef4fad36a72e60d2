//! What readers may be told, and what not, where two things happen in one millisecond.

use super::*;

/// Enough for some answers.
const READERS_STEPS: u32 = 60;
/// The worker of the first lane that is looked at.
const INDEX: usize = 0;

#[test]
fn an_end_told_before_a_launch_of_the_same_millisecond_is_no_violation() {
    let mut world = World::new(0, Switches::default(), false);
    world.start_worker(INDEX).expect("starts");
    launch_something(&mut world);
    hear_all(&mut world);
    assert!(world.queries[0].believes_complete(world.now_ms));
    assert_eq!(serve(&mut world), Ok(()));
}

#[test]
fn an_end_not_told_after_a_launch_of_the_same_millisecond_is_one() {
    let mut world = World::new(0, Switches::default(), false);
    launch_something(&mut world);
    world.switches.driver.knows_end_first = false;
    world.start_worker(INDEX).expect("starts");
    hear_all(&mut world);
    assert!(world.queries[0].believes_complete(world.now_ms));
    let Err(Violation(what)) = serve(&mut world) else { panic!("nobody noticed") };
    assert!(what.contains("is said to be complete, the lane ended at"), "{what}");
}

/// Appends to the first lane, until there is something that readers can ask for.
fn launch_something(world: &mut World) {
    while world.log.truths[0].touched.values().all(Vec::is_empty) {
        world.append();
    }
}

fn hear_all(world: &mut World) {
    let World { queries, store, now_ms, .. } = world;
    queries[0].deliver_all(*now_ms, store);
}

fn serve(world: &mut World) -> Checked {
    (0..READERS_STEPS).try_for_each(|_| world.at_query(0, Query::serve))
}
