//! Builds the web client where its sources have changed, and lays its files where they are
//! embedded from, compressed beside themselves.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// What the client is made of, beside each other in `web/`.
const SOURCES: [&str; 7] = [
    "src",
    "public",
    "index.html",
    "package.json",
    "package-lock.json",
    "vite.config.ts",
    "tsconfig.json",
];

fn main() {
    println!("cargo::rerun-if-env-changed=TING_WEB");
    if let Err(sentence) = lay_out() {
        println!("cargo::error={sentence}");
        std::process::exit(1);
    }
}

fn lay_out() -> Result<(), String> {
    let variable = |name: &str| env::var_os(name).map(PathBuf::from).unwrap_or_default();
    let web = variable("CARGO_MANIFEST_DIR").join("web");
    let files = variable("OUT_DIR").join("web");
    let failed = |what: &Path, error: io::Error| format!("can't write {}: {error}", what.display());
    if files.exists() {
        fs::remove_dir_all(&files).map_err(|error| failed(&files, error))?;
    }
    fs::create_dir_all(&files).map_err(|error| failed(&files, error))?;

    println!(
        "cargo::rerun-if-changed={}",
        web.join("package.json").display()
    );
    let skipped = env::var_os("TING_WEB").is_some_and(|value| value == "skip");
    if skipped || !web.join("package.json").exists() {
        return Ok(());
    }
    for source in SOURCES.iter().map(|source| web.join(source)) {
        if source.exists() {
            println!("cargo::rerun-if-changed={}", source.display());
        }
    }
    let built = web.join("dist");
    if newest(&built.join("index.html")) < newest_of_sources(&web) {
        build(&web)?;
    }
    copy(&built, &files).map_err(|error| failed(&files, error))?;
    compress(&files)
}

fn newest_of_sources(web: &Path) -> Option<std::time::SystemTime> {
    SOURCES
        .iter()
        .filter_map(|source| newest(&web.join(source)))
        .max()
}

/// When anything at or below a path was last changed; none if there is nothing.
fn newest(path: &Path) -> Option<std::time::SystemTime> {
    let metadata = fs::metadata(path).ok()?;
    if !metadata.is_dir() {
        return metadata.modified().ok();
    }
    fs::read_dir(path)
        .ok()?
        .filter_map(|entry| newest(&entry.ok()?.path()))
        .max()
}

fn build(web: &Path) -> Result<(), String> {
    // Written by npm when it has installed what the lock file says.
    let installed = newest(&web.join("node_modules/.package-lock.json"));
    let wanted = ["package.json", "package-lock.json"].map(|file| newest(&web.join(file)));
    if wanted.iter().any(|wanted| installed < *wanted) {
        run(web, &["ci", "--no-audit", "--no-fund"])?;
    }
    run(web, &["run", "build"])
}

fn run(web: &Path, arguments: &[&str]) -> Result<(), String> {
    let told = Command::new("npm")
        .args(arguments)
        .current_dir(web)
        .output();
    let told = told.map_err(|error| {
        format!(
            "the web client is built with Node's npm, which can't be started ({error}); \
             install Node 20.19, 22.13 or newer, or build without the client: TING_WEB=skip"
        )
    })?;
    if told.status.success() {
        return Ok(());
    }
    for line in [&told.stdout, &told.stderr].into_iter().flat_map(|told| {
        String::from_utf8_lossy(told)
            .lines()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    }) {
        println!("cargo::warning={line}");
    }
    Err(format!(
        "npm {} failed in {}; TING_WEB=skip builds without the web client",
        arguments.join(" "),
        web.display()
    ))
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&target)?;
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Node brings both compressions along, and was needed a moment ago.
const COMPRESS: &str = r#"
const { readdirSync, readFileSync, writeFileSync } = require("node:fs");
const { brotliCompressSync, gzipSync } = require("node:zlib");
const { join } = require("node:path");
for (const entry of readdirSync(".", { recursive: true, withFileTypes: true })) {
  const path = join(entry.parentPath ?? entry.path, entry.name);
  if (!entry.isFile() || !/\.(html|js|css|svg|json|webmanifest|txt)$/.test(path)) continue;
  const plain = readFileSync(path);
  for (const [suffix, made] of [[".br", brotliCompressSync(plain)], [".gz", gzipSync(plain, { level: 9 })]])
    if (made.length < plain.length) writeFileSync(path + suffix, made);
}
"#;

fn compress(files: &Path) -> Result<(), String> {
    let told = Command::new("node")
        .args(["-e", COMPRESS])
        .current_dir(files)
        .output()
        .map_err(|error| format!("the web client's files can't be compressed: node: {error}"))?;
    if told.status.success() {
        Ok(())
    } else {
        Err(format!(
            "the web client's files can't be compressed: {}",
            String::from_utf8_lossy(&told.stderr)
                .lines()
                .next()
                .unwrap_or_default()
        ))
    }
}
