//! The snapshots in the repository, as seeds.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use tidegate_snapshot::{manifest::Manifest, store::LoadedSnapshot};

/// The folders that snapshots lie in, at any depth.
const FOLDERS: [&str; 2] = ["../crates/snapshot/fixtures", "../crates/tidegate/tests/corpus"];

fn below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("fixtures can be read") {
        let path = entry.expect("fixtures can be read").path();
        if path.is_dir() {
            below(&path, found);
        } else if path.ends_with("_metadata") {
            found.push(path);
        }
    }
}

/// The content of every `_metadata`, good and bad, with its folder.
pub(crate) fn metadata() -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for folder in FOLDERS {
        below(&Path::new(crate::CRATE).join(folder), &mut found);
    }
    found.sort();
    let read = found.into_iter().map(|path| {
        let bytes = fs::read(&path).expect("fixtures can be read");
        (path.parent().expect("a file lies in a folder").to_owned(), bytes)
    });
    read.collect()
}

/// The good ones, with their files as far as they are there.
pub(crate) fn good() -> Vec<(Manifest, LoadedSnapshot)> {
    let load = |(folder, json): (PathBuf, Vec<u8>)| {
        let manifest = Manifest::parse(&json, "_metadata").ok()?;
        let read = |path: &String| {
            let bytes = fs::read(folder.join(path)).ok()?;
            Some((path.clone(), Bytes::from(bytes)))
        };
        let files = manifest.files.keys().filter_map(read).collect::<BTreeMap<_, _>>();
        Some((manifest, LoadedSnapshot::new("seed", files)))
    };
    metadata().into_iter().filter_map(load).collect()
}
