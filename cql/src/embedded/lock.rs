//! One process, one file: a lock beside it that ends with the process, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Held for as long as the store is open.
#[derive(Debug)]
pub(super) struct Lock {
    // The system lets go of the lock when the file is closed. The file itself stays: who
    // removed it could remove the one that another process has just locked.
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A process that was forked this moment and has not begun its program has the file open,
        // too. If this fails, closing it is left.
        let _ = self.file.unlock();
    }
}

/// Why there is no lock.
pub(super) enum NoLock {
    /// Another has it.
    Held,
    /// The file could not be made or locked.
    Failed(io::Error),
}

impl Lock {
    /// Takes the lock, which makes its file.
    pub(super) fn take(database: &Path) -> Result<Self, NoLock> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        // Whoever can open it can lock it.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(beside(database)).map_err(NoLock::Failed)?;
        try_lock(file)
    }

    /// Takes the lock if its file is there, and makes nothing.
    pub(super) fn take_existing(database: &Path) -> Result<Option<Self>, NoLock> {
        match File::open(beside(database)) {
            Ok(file) => try_lock(file).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(NoLock::Failed(error)),
        }
    }
}

fn try_lock(file: File) -> Result<Lock, NoLock> {
    match file.try_lock() {
        Ok(()) => Ok(Lock { file }),
        Err(TryLockError::WouldBlock) => Err(NoLock::Held),
        Err(TryLockError::Error(error)) => Err(NoLock::Failed(error)),
    }
}

fn beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}
