//! A disk of its own for a store, which can be frozen.

use std::path::{Path, PathBuf};
use std::process::Command;

/// How large it is: what a file system and a small store need.
const BYTES: u64 = 64 << 20;

/// A file system in a file, mounted until this is dropped.
#[derive(Debug)]
pub struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    /// A new one; none, which is said, where this machine can't mount a file.
    pub fn new() -> Option<Disk> {
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        let disk = Disk { folder };
        let image = disk.folder.path().join("image");
        let file = std::fs::File::create(&image).expect("a file");
        file.set_len(BYTES).expect("room for a disk");
        std::fs::create_dir(disk.path()).expect("a folder");
        let (image, place) = (image.display().to_string(), disk.place());
        let made = done("mkfs.ext4", &["-q", "-F", &image])
            .and_then(|()| done("mount", &["-o", "loop", &image, &place]));
        if let Err(why) = made {
            println!("skipped: no disk can be made here: {why}");
            return None;
        }
        Some(disk)
    }

    /// Where its files are.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    fn place(&self) -> String {
        self.path().display().to_string()
    }

    /// Whoever writes waits, until what this gives is dropped.
    pub fn freezes(&self) -> Frozen<'_> {
        done("fsfreeze", &["--freeze", &self.place()]).expect("a disk can be frozen");
        Frozen(self)
    }
}

/// A disk that does not answer.
#[derive(Debug)]
pub struct Frozen<'a>(&'a Disk);

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        done("fsfreeze", &["--unfreeze", &self.0.place()]).expect("a frozen disk can be thawed");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // It may not be mounted; whoever still uses it keeps it until its end.
        let _ = done("umount", &["--lazy", &self.place()]);
    }
}

fn done(command: &str, arguments: &[&str]) -> Result<(), String> {
    let sbin = Path::new("/usr/sbin").join(command);
    let command = if sbin.exists() {
        sbin
    } else {
        PathBuf::from(command)
    };
    match Command::new(&command).args(arguments).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(format!("{}: {error}", command.display())),
    }
}
