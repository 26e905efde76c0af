//! Finds the `ting` that is to be tested.

use std::path::{Path, PathBuf};

/// `TING_BIN`, or what this workspace built last, the release build first.
pub fn ting() -> PathBuf {
    if let Some(named) = std::env::var_os("TING_BIN") {
        let named = PathBuf::from(named);
        assert!(
            named.is_file(),
            "TING_BIN names {}, which is no file",
            named.display()
        );
        return named;
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    let builds = ["release/ting", "debug/ting"].map(|build| target.join(build));
    builds
        .iter()
        .find(|build| build.is_file())
        .cloned()
        .unwrap_or_else(|| {
            panic!("no ting to test: set TING_BIN, or run `cargo build` (looked for {builds:?})")
        })
}
