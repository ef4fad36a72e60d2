//! The simulation's store passes the same suite, as a whole and step by step.

use std::sync::Arc;

use async_trait::async_trait;
use protocol::simulation::store::StoreMode;
use store::{
    MemoryStore, Store, StoreError,
    conformance::{self, Factory, Subject},
};

struct InMemory(StoreMode);

#[async_trait]
impl Factory for InMemory {
    async fn empty(&self) -> Result<Box<dyn Subject>, StoreError> {
        Ok(Box::new(OneStore(Arc::new(MemoryStore::new(self.0)))))
    }
}

struct OneStore(Arc<MemoryStore>);

#[async_trait]
impl Subject for OneStore {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.0) as Arc<dyn Store>
    }

    async fn reopen(&mut self) -> Result<(), StoreError> {
        self.0.reopen();
        Ok(())
    }

    fn fail_after_steps(&mut self, steps: usize) -> bool {
        self.0.fail_after_steps(steps)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms_as_a_whole() {
    if let Err(failure) = conformance::run(&InMemory(StoreMode::Atomic)).await {
        panic!("{failure}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms_step_by_step() {
    if let Err(failure) = conformance::run(&InMemory(StoreMode::Stepwise)).await {
        panic!("{failure}");
    }
}
