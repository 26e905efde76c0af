//! A copy that is not whole.

use super::{server, unique};
use crate::embedded::{EmbeddedStore, Source};
use crate::scylla::{ConnectError, CqlStore};
use crate::{ChannelName, Store};

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_served_a_copy_that_is_not_whole() {
    let Some(settings) = server(&unique("copy")) else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ting.db");
    let embedded = EmbeddedStore::open(&file, None).unwrap();
    let now = embedded.now().await.unwrap();
    let name = ChannelName::parse("moved").unwrap();
    assert_eq!(embedded.create_channel(&name, now).await, Ok(true));
    embedded.close().await;
    let source = Source::open(&file).unwrap();

    CqlStore::migrate(&settings).await.unwrap();
    CqlStore::connect(settings.clone()).await.unwrap();
    // Killed after its first table.
    let copying = CqlStore::connect_to_copy(settings.clone()).await.unwrap();
    let (told, mut hears) = tokio::sync::mpsc::unbounded_channel();
    tokio::select! {
        copied = copying.copy_from(&source, |progress| told.send(progress).unwrap()) => {
            panic!("killed too late: {copied:?}");
        }
        progress = hears.recv() => assert!(progress.is_some()),
    }
    let half = CqlStore::connect(settings.clone()).await;
    assert!(matches!(half, Err(ConnectError::HalfCopied)), "{half:?}");
    let checked = CqlStore::check(&settings).await;
    assert_eq!(checked, Err(ConnectError::HalfCopied));

    let copying = CqlStore::connect_to_copy(settings.clone()).await.unwrap();
    let counted = copying.copy_from(&source, |_| ()).await.unwrap();
    assert!(counted.iter().all(|table| table.there == table.here));
    let whole = CqlStore::connect(settings.clone()).await.unwrap();
    assert_eq!(whole.channel_exists(&name).await, Ok(true));
    // To begin a whole one again bars nobody.
    let again = CqlStore::connect_to_copy(settings.clone()).await.unwrap();
    again.copy_from(&source, |_| ()).await.unwrap();
    CqlStore::connect(settings).await.unwrap();
}
