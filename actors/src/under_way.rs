//! How much is under way, counted by what lives as long as it is.

use std::sync::Arc;
use tokio::sync::watch;

/// A count that can be waited for to be nothing.
#[derive(Debug, Clone, Default)]
pub struct Count(Arc<watch::Sender<usize>>);

/// One that is counted as long as this lives.
#[derive(Debug)]
pub struct UnderWay(Count);

impl Count {
    /// Counts one more.
    pub fn begin(&self) -> UnderWay {
        self.0.send_modify(|count| *count += 1);
        UnderWay(self.clone())
    }

    /// Counts one more, unless there are so many already.
    pub fn begin_below(&self, most: usize) -> Option<UnderWay> {
        let counted = self.0.send_if_modified(|count| {
            let fits = *count < most;
            *count += usize::from(fits);
            fits
        });
        counted.then(|| UnderWay(self.clone()))
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        *self.0.borrow() == 0
    }

    /// Waits until nothing is under way.
    pub async fn ended(&self) {
        // The sender lives in this value.
        let mut count = self.0.subscribe();
        let _ = count.wait_for(|count| *count == 0).await;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}
