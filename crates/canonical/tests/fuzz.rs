//! A snapshot whose bytes have changed is refused, or is the same: never another value, never a panic.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use proptest::{prelude::*, sample::Index};
use tidegate_canonical::{
    convert::{Wanted, to_canonical, to_native},
    inspect::Inspector,
    json::to_json,
};
use tidegate_snapshot::{
    manifest::Manifest,
    segment::{KeyedSegmentReader, ListSegment},
    store::{LoadedSnapshot, SnapshotLocation},
    wire::decode_as,
};

/// The savepoints of every version, in both forms.
fn corpus() -> Vec<PathBuf> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tidegate/tests/corpus");
    let below = |folder: PathBuf| {
        let entries = fs::read_dir(folder).expect("a folder");
        entries.map(|entry| entry.expect("it can be read").path()).collect::<Vec<_>>()
    };
    let mut all = below(corpus).into_iter().flat_map(below).collect::<Vec<_>>();
    all.sort();
    all
}

/// Everything in a snapshot, in words.
fn contents(manifest: Manifest, loaded: LoadedSnapshot) -> Result<Vec<String>, String> {
    let inspector = Inspector::new(manifest, loaded);
    let mut rows = Vec::new();
    for state in inspector.states().map_err(|error| error.to_string())? {
        let (uid, name) = (state.uid.clone(), state.name.clone());
        let read = inspector.for_each_row(&state, |row| {
            let mut cells = Vec::new();
            for (column, of, bytes) in &row.columns {
                cells.push(format!("{column} {}", to_json(of, bytes)?));
                // What reads old types must be as careful with them.
                let _ = decode_as::<serde_json::Value>(of, &mut &**bytes);
            }
            rows.push(format!("{uid} {name} {:?} {cells:?}", row.group));
            Ok(())
        });
        read.map_err(|error| error.to_string())?;
        inspector.check(&state).map_err(|error| error.to_string())?;
    }
    Ok(rows)
}

/// What a restore would read from a folder.
fn restored(folder: &Path) -> Result<Vec<String>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (manifest, loaded) = runtime.block_on(async {
        let location = SnapshotLocation::parse(&folder.display().to_string());
        let location = location.map_err(|error| error.to_string())?;
        let manifest = location.load().await.map_err(|error| error.to_string())?;
        let loaded = location.read_all(&manifest).await.map_err(|error| error.to_string())?;
        Ok::<_, String>((manifest, loaded))
    })?;
    to_native(&manifest, loaded.clone(), &Wanted::default()).map_err(|error| error.to_string())?;
    contents(manifest, loaded)
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

/// What happens to the bytes of a file.
#[derive(Clone, Debug)]
enum Damage {
    Change(Index, u8),
    Cut(Index),
    Insert(Index, u8),
    Remove(Index),
    Swap(Index, Index),
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let length = bytes.len();
        match self {
            Self::Change(at, to) => bytes[at.index(length)] = *to,
            Self::Cut(at) => bytes.truncate(at.index(length)),
            Self::Insert(at, byte) => bytes.insert(at.index(length), *byte),
            Self::Remove(at) => drop(bytes.remove(at.index(length))),
            Self::Swap(a, b) => bytes.swap(a.index(length), b.index(length)),
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        4 => (any::<Index>(), any::<u8>()).prop_map(|(at, to)| Damage::Change(at, to)),
        1 => any::<Index>().prop_map(Damage::Cut),
        1 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        1 => any::<Index>().prop_map(Damage::Remove),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Damage::Swap(a, b)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_damaged_snapshot_is_refused_or_the_same(
        snapshot in any::<Index>(),
        file in any::<Index>(),
        damages in prop::collection::vec(damage(), 1..4),
    ) {
        let corpus = corpus();
        let good = &corpus[snapshot.index(corpus.len())];
        let files = files_below(good);
        // Every second one is damage to `_metadata`, of which there is but one.
        let spoilt = match file.index(2 * files.len()) {
            place if place < files.len() => &files[place],
            _ => files.iter().find(|file| file.ends_with("_metadata")).expect("there is one"),
        };
        let folder = tempfile::tempdir().expect("a folder");
        for file in &files {
            let target = folder.path().join(file.strip_prefix(good).expect("it is below"));
            fs::create_dir_all(target.parent().expect("a folder")).expect("it can be made");
            let mut bytes = fs::read(file).expect("it can be read");
            if file == spoilt {
                damages.iter().for_each(|damage| damage.apply(&mut bytes));
            }
            fs::write(target, bytes).expect("it can be written");
        }
        if let Ok(contents) = restored(folder.path()) {
            prop_assert_eq!(contents, restored(good).expect("the good one is good"));
        }
    }

    /// Behind the checksums, as if somebody had written such a file: whatever it holds, nothing
    /// panics.
    #[test]
    fn files_that_were_written_wrong_are_an_error_or_other_values(
        snapshot in any::<Index>(),
        file in any::<Index>(),
        damages in prop::collection::vec(damage(), 1..4),
    ) {
        let corpus = corpus();
        let good = &corpus[snapshot.index(corpus.len())];
        let metadata = fs::read(good.join("_metadata")).expect("it can be read");
        let manifest = Manifest::parse(&metadata, "_metadata").expect("it is good");
        let mut files = BTreeMap::new();
        let spoilt = file.index(manifest.files.len());
        for (place, path) in manifest.files.keys().enumerate() {
            let mut bytes = fs::read(good.join(path)).expect("it can be read");
            if place == spoilt {
                damages.iter().for_each(|damage| damage.apply(&mut bytes));
            }
            files.insert(path.clone(), Bytes::from(bytes));
        }
        for bytes in files.values() {
            let _ = KeyedSegmentReader::open(bytes.clone());
            let _ = ListSegment::decode(bytes);
        }
        let loaded = LoadedSnapshot::new("fuzzed", files);
        let _ = to_native(&manifest, loaded.clone(), &Wanted::default());
        let _ = to_canonical(&manifest, loaded.clone());
        let _ = contents(manifest, loaded);
    }

    #[test]
    fn no_metadata_is_anything_but_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Manifest::parse(&bytes, "_metadata").is_err());
    }
}

#[test]
fn the_corpus_itself_is_good() {
    for savepoint in corpus() {
        let contents = restored(&savepoint).expect("it is good");
        assert!(contents.len() > 50, "{}: {}", savepoint.display(), contents.len());
    }
}
