use std::{io::Read, os::unix::fs::PermissionsExt};

use flate2::read::GzDecoder;

use super::*;

/// Two files, one of which can be run, and what they are called in an archive.
fn entries(folder: &Path) -> Vec<Entry> {
    let (program, text) = (folder.join("program"), folder.join("text"));
    fs::write(&program, "runs").expect("it can be written");
    fs::write(&text, "says").expect("it can be written");
    let mode = |file: &Path, mode| fs::set_permissions(file, fs::Permissions::from_mode(mode));
    mode(&program, 0o700).expect("it is the test's own");
    mode(&text, 0o600).expect("it is the test's own");
    vec![(PathBuf::from("bin/program"), program), (PathBuf::from("README.md"), text)]
}

#[test]
fn an_archive_holds_what_is_packed_and_nothing_of_who_packed_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let archive = folder.path().join("a.tar.gz");
    pack(&archive, Path::new("tidegate"), &entries(folder.path())).expect("it is packed");
    let file = File::open(&archive).expect("it is there");
    let mut read = Vec::new();
    for entry in tar::Archive::new(GzDecoder::new(file)).entries().expect("it is an archive") {
        let mut entry = entry.expect("an entry");
        let name = entry.path().expect("a name").display().to_string();
        let mut text = String::new();
        entry.read_to_string(&mut text).expect("its content");
        let header = entry.header();
        let owner = (header.uid().expect("a number"), header.gid().expect("a number"));
        read.push((name, text, header.mode().expect("a number") & 0o777, owner));
    }
    let expected = [("tidegate/bin/program", "runs", 0o755), ("tidegate/README.md", "says", 0o644)];
    let expected =
        expected.map(|(name, text, mode)| (name.to_owned(), text.to_owned(), mode, (0, 0)));
    assert_eq!(read, expected);
}

#[test]
fn the_same_files_make_the_same_archive_and_the_sums_are_of_all() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["b.tar.gz", "a.tar.gz"] {
        let entries = entries(folder.path());
        pack(&folder.path().join(name), Path::new("tidegate"), &entries).expect("it is packed");
    }
    let sums = sums(folder.path()).expect("they can be read");
    let lines = sums.lines().map(|line| line.split_once("  ").expect("a sum and a name"));
    let (sums, names): (Vec<_>, Vec<_>) = lines.unzip();
    assert_eq!(names, ["a.tar.gz", "b.tar.gz"]);
    assert!(sums[0].len() == 64 && sums[0] == sums[1], "{sums:?}");
}

#[test]
fn what_cargo_has_built_is_told_from_what_it_says_besides() {
    let messages = r#"{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"a"},"executable":null}
{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"tidegate"},"executable":"/t/release/tidegate"}
{"reason":"compiler-artifact","target":{"kind":["example"],"name":"flights"},"executable":"/t/release/examples/flights"}
{"reason":"build-finished","success":true}"#;
    let found = programs(messages).expect("it is JSON");
    let expected = [
        ("bin/tidegate", "/t/release/tidegate"),
        ("examples/flights", "/t/release/examples/flights"),
    ];
    assert_eq!(found, expected.map(|(name, from)| (PathBuf::from(name), PathBuf::from(from))));
}

#[test]
fn the_documents_and_the_examples_data_are_there() {
    let all = documents(workspace::root()).expect("they are listed");
    for name in ["LICENSE", "README.md", "examples/data/flights.csv.zst"] {
        assert!(
            all.iter().any(|(entry, from)| entry == Path::new(name) && from.is_file()),
            "{name}"
        );
    }
    assert!(host().expect("rustc tells it").contains('-'));
}
