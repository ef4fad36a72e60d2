//! The embedded store.

use std::sync::Arc;

use async_trait::async_trait;
use store::{
    EmbeddedConfig, EmbeddedStore, Store, StoreError,
    conformance::{self, Factory, Subject},
};
use tempfile::TempDir;

struct Folders;

#[async_trait]
impl Factory for Folders {
    async fn empty(&self) -> Result<Box<dyn Subject>, StoreError> {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(EmbeddedStore::open(EmbeddedConfig::new(folder.path()))?);
        Ok(Box::new(InFolder { folder, store: Some(store) }))
    }
}

struct InFolder {
    folder: TempDir,
    store: Option<Arc<EmbeddedStore>>,
}

#[async_trait]
impl Subject for InFolder {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(self.store.as_ref().unwrap()) as Arc<dyn Store>
    }

    async fn reopen(&mut self) -> Result<(), StoreError> {
        self.store = None;
        self.store = Some(Arc::new(EmbeddedStore::open(EmbeddedConfig::new(self.folder.path()))?));
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    if let Err(failure) = conformance::run(&Folders).await {
        panic!("{failure}");
    }
}
