//! Where the file lies: its directory and what the system lets us do there.

use super::file::OpenError;
use super::lock::NoLock;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// Makes the directory; only its owner may look inside, because privates lie there.
pub(super) fn make_directory(path: &Path) -> Result<(), OpenError> {
    let directory = directory_of(path);
    let missing: Vec<_> = directory
        .ancestors()
        .take_while(|ancestor| !ancestor.as_os_str().is_empty() && !ancestor.exists())
        .collect();
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(directory)
        .map_err(|error| unusable(directory, &error))?;
    missing.into_iter().try_for_each(keep_entry)
}

/// Makes an empty file; only its owner may read it.
pub(super) fn make_file(path: &Path) -> Result<(), OpenError> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => keep_entry(path),
        Err(error) => Err(unusable(path, &error)),
    }
}

/// Makes durable that this is there: a name is on the disk when its directory is.
fn keep_entry(made: &Path) -> Result<(), OpenError> {
    let directory = directory_of(made);
    fs::File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| unusable(directory, &error))
}

/// Whether the file that is there may be written.
pub(super) fn writable(path: &Path) -> Result<(), OpenError> {
    match OpenOptions::new().append(true).open(path) {
        Ok(_) => Ok(()),
        Err(error) => Err(unusable(path, &error)),
    }
}

/// Whether a file could be made there: the nearest directory that exists can be written.
pub(super) fn place_for(path: &Path) -> Result<(), OpenError> {
    let absolute = std::path::absolute(path).map_err(|error| unusable(path, &error))?;
    for directory in absolute.ancestors().skip(1) {
        match fs::metadata(directory) {
            Ok(metadata) if !metadata.is_dir() => {
                let error = io::Error::from(io::ErrorKind::NotADirectory);
                return Err(unusable(directory, &error));
            }
            Ok(metadata) if metadata.permissions().readonly() => {
                let error = io::Error::from(io::ErrorKind::PermissionDenied);
                return Err(unusable(directory, &error));
            }
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(unusable(directory, &error)),
        }
    }
    Ok(())
}

/// What the file begins with; less than 16 bytes count as zeros.
pub(super) fn first_bytes(path: &Path) -> Result<[u8; 16], OpenError> {
    let mut bytes = [0; 16];
    let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut bytes));
    match read {
        Ok(()) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok([0; 16]),
        Err(error) => Err(unusable(path, &error)),
    }
}

pub(super) fn unusable(path: &Path, error: &io::Error) -> OpenError {
    OpenError::Unusable {
        path: path.to_owned(),
        why: error.to_string(),
    }
}

pub(super) fn no_lock(path: &Path, no: NoLock) -> OpenError {
    match no {
        NoLock::Held => OpenError::InUse {
            path: path.to_owned(),
        },
        NoLock::Failed(error) => unusable(path, &error),
    }
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
