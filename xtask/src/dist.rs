//! `cargo xtask dist [--without-state]`: an archive of what people run, and its checksum.
//!
//! ```text
//!   target/dist/tidegate-<version>-<target>.tar.gz          or …-without-state.tar.gz
//!     tidegate-<version>-<target>/bin/                      tidegate, and tidegate-state beside it
//!                                /examples/                 flights, wordcount, bootstrap; their data
//!                                /LICENSE, README.md, CHANGELOG.md
//!   target/dist/SHA256SUMS                                  of every archive there
//! ```
//!
//! The same files make the same archive, byte for byte: it holds neither times nor owners.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use flate2::{Compression, write::GzEncoder};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{STATE, cargo_command, workspace};

/// What is built, package by package: together they would share features, and weigh more.
const PACKAGES: [(&str, &str); 3] =
    [("tidegate-cli", "--bins"), ("tidegate-examples", "--examples"), (STATE, "--bins")];
/// What lies beside the programs.
const DOCUMENTS: [&str; 3] = ["LICENSE", "README.md", "CHANGELOG.md"];
const DATA: &str = "examples/data";

/// A file of the archive: where it lies there, and where it is now.
type Entry = (PathBuf, PathBuf);

/// Builds the programs, packs them and says what has come of it.
///
/// # Errors
///
/// When something can't be built, read or written.
#[expect(clippy::print_stdout, reason = "it says what it has made")]
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let with_state = match arguments {
        [] => true,
        ["--without-state"] => false,
        _ => bail!("expected dist [--without-state]"),
    };
    let stem = format!("tidegate-{}-{}", env!("CARGO_PKG_VERSION"), host()?);
    let mut entries = documents(workspace::root())?;
    for (package, kind) in PACKAGES.iter().filter(|(package, _)| with_state || *package != STATE) {
        entries.extend(build(package, kind)?);
    }
    entries.sort();
    let folder = workspace::target_folder()?.join("dist");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let ending = if with_state { "" } else { "-without-state" };
    let archive = folder.join(format!("{stem}{ending}.tar.gz"));
    pack(&archive, Path::new(&stem), &entries)?;
    let sums = sums(&folder)?;
    fs::write(folder.join("SHA256SUMS"), &sums).context("cannot write SHA256SUMS")?;
    println!("{} ({})", archive.display(), size(&archive)?);
    for (name, source) in &entries {
        println!("  {} ({})", name.display(), size(source)?);
    }
    print!("{}\n{sums}", folder.join("SHA256SUMS").display());
    Ok(())
}

/// What this machine is called among the targets of rustc.
fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("rustc can't be run")?;
    let told = String::from_utf8(output.stdout)?;
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc tells its host")?.to_owned())
}

/// Builds the programs of a package as they are installed.
fn build(package: &str, kind: &str) -> Result<Vec<Entry>> {
    let mut command = cargo_command();
    command.args(["build", "--release", "--locked", "--package", package, kind]);
    command.args(["--message-format", "json-render-diagnostics"]).stderr(Stdio::inherit());
    let output = command.output().with_context(|| format!("{command:?} can't be run"))?;
    if !output.status.success() {
        bail!("{command:?} failed");
    }
    programs(&String::from_utf8(output.stdout)?)
}

/// The programs that cargo says it has built, a message a line.
fn programs(messages: &str) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for message in messages.lines() {
        let message: Value = serde_json::from_str(message).context("cargo speaks JSON")?;
        let Some(program) = message["executable"].as_str().map(PathBuf::from) else { continue };
        let is_example = message["target"]["kind"][0] == "example";
        let folder = Path::new(if is_example { "examples" } else { "bin" });
        let name = program.file_name().context("a program has a name")?;
        entries.push((folder.join(name), program));
    }
    Ok(entries)
}

/// What is read: the documents, and the examples' data.
fn documents(root: &Path) -> Result<Vec<Entry>> {
    let data = fs::read_dir(root.join(DATA)).with_context(|| format!("cannot list {DATA}"))?;
    let data = data.map(|entry| Ok(Path::new(DATA).join(entry?.file_name())));
    let all = DOCUMENTS.iter().map(|name| Ok(PathBuf::from(name))).chain(data);
    all.map(|name: Result<PathBuf>| name.map(|name| (name.clone(), root.join(name)))).collect()
}

/// Writes an archive in which all files lie in one folder.
fn pack(archive: &Path, folder: &Path, entries: &[Entry]) -> Result<()> {
    let file = File::create(archive);
    let file = file.with_context(|| format!("cannot write {}", archive.display()))?;
    let mut tar = tar::Builder::new(GzEncoder::new(file, Compression::best()));
    tar.mode(tar::HeaderMode::Deterministic);
    for (name, source) in entries {
        let packed = tar.append_path_with_name(source, folder.join(name));
        packed.with_context(|| format!("cannot pack {}", source.display()))?;
    }
    tar.into_inner()?.finish()?;
    Ok(())
}

/// The checksums of all archives in a folder, as `sha256sum -c` reads them.
fn sums(folder: &Path) -> Result<String> {
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
    let names = entries.collect::<Result<Vec<_>>>()?;
    let mut names = names.into_iter().flatten().collect::<Vec<_>>();
    names.retain(|name| name.ends_with(".tar.gz"));
    names.sort();
    let sum = |name: &String| {
        let bytes = fs::read(folder.join(name)).with_context(|| format!("cannot read {name}"))?;
        let sum = Sha256::digest(&bytes);
        let sum = sum.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        Ok(format!("{sum}  {name}\n"))
    };
    names.iter().map(sum).collect()
}

fn size(file: &Path) -> Result<String> {
    let bytes = fs::metadata(file)?.len();
    Ok(match bytes {
        0..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    })
}

#[cfg(test)]
mod tests;
