//! A disk of its own for a store, which can be full, frozen or read-only for a while.

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
        let file = std::fs::File::create(disk.image()).expect("a file");
        file.set_len(BYTES).expect("room for a disk");
        std::fs::create_dir(disk.path()).expect("a folder");
        let made = done("mkfs.ext4", &["-q", "-F", &disk.image()]).and_then(|()| disk.is_mounted());
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

    fn image(&self) -> String {
        self.folder.path().join("image").display().to_string()
    }

    fn is_mounted(&self) -> Result<(), String> {
        // As most disks are: once it is found to be damaged, it can only be read.
        let options = "loop,errors=remount-ro";
        done("mount", &["-o", options, &self.image(), &self.place()])
    }

    fn place(&self) -> String {
        self.path().display().to_string()
    }

    /// Whoever writes waits, until what this gives is dropped.
    pub fn freezes(&self) -> Fault {
        done("fsfreeze", &["--freeze", &self.place()]).expect("a disk can be frozen");
        Fault::until("fsfreeze", &["--unfreeze", &self.place()])
    }

    /// There is no room for a byte more, until what this gives is dropped.
    pub fn is_full(&self) -> Fault {
        let rest = self.path().join("rest");
        let mut file = std::fs::File::create(&rest).expect("a file");
        let filled = std::io::copy(&mut std::io::repeat(0), &mut file);
        let why = filled.expect_err("a disk has an end");
        assert_eq!(why.kind(), std::io::ErrorKind::StorageFull);
        Fault::until("rm", &[&rest.display().to_string()])
    }

    /// It is found to be damaged, so that nothing on it can be changed, an open file neither.
    pub fn turns_read_only(&self) {
        let mounts = std::fs::read_to_string("/proc/self/mounts").expect("what is mounted");
        let mount = mounts.lines().find(|line| line.contains(&self.place()));
        let device = mount.and_then(|line| line.split(' ').next());
        let name = device.and_then(|device| device.strip_prefix("/dev/"));
        let name = name.unwrap_or_else(|| panic!("a loop device: {mount:?}"));
        let trigger = format!("/sys/fs/ext4/{name}/trigger_fs_error");
        std::fs::write(&trigger, "by a test").expect("a disk can be found to be damaged");
    }

    /// It is mounted anew, once nobody uses it, and can be written.
    pub fn is_mounted_again(&self) {
        done("umount", &[&self.place()])
            .and_then(|()| self.is_mounted())
            .expect("a disk can be mounted again");
    }
}

/// Something that is wrong with a disk, as long as this is there.
#[derive(Debug)]
pub struct Fault {
    command: &'static str,
    arguments: Vec<String>,
}

impl Fault {
    /// The command that ends it.
    fn until(command: &'static str, arguments: &[&str]) -> Fault {
        Fault {
            command,
            arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
        }
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        done(self.command, &arguments).expect("a disk can be mended");
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
