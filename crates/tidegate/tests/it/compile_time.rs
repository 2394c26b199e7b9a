//! What the compiler says about a program that can't be right: first of all what to write instead.
//!
//! Each program is handed to the compiler alone, beside the libraries that this test is linked with,
//! which takes a second; a test that made a crate of each would build all of them again.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Where the compiled libraries are.
fn libraries() -> PathBuf {
    let test = std::env::current_exe().expect("a test is a file");
    test.parent().expect("it lies in a folder").to_owned()
}

/// The library that was compiled last of those with this name.
fn library(folder: &Path, name: &str) -> PathBuf {
    let is_it = |path: &PathBuf| {
        let file = path.file_name().and_then(|file| file.to_str()).unwrap_or_default();
        let hash = file.strip_prefix(&format!("lib{name}-"));
        hash.is_some_and(|hash| hash.ends_with(".rlib"))
    };
    let files = folder.read_dir().expect("it is a folder").flatten().map(|entry| entry.path());
    let modified = |path: &PathBuf| path.metadata().and_then(|data| data.modified()).ok();
    files.filter(is_it).max_by_key(modified).expect("the test is linked with it")
}

/// What the compiler says about this in a job's closure, with a `numbers` and a `words`.
fn said(items: &str, body: &str) -> String {
    let program = format!(
        "use tidegate::{{collect::Collector, prelude::*}};
        {items}
        pub fn build(numbers: Stream<u64>, words: Stream<String>) {{ {body} }}"
    );
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("program.rs");
    std::fs::write(&file, program).expect("it is writable");
    let libraries = libraries();
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(compiler)
        .args(["--edition=2024", "--crate-type=lib", "--emit=metadata", "--color=never"])
        .arg("--out-dir")
        .arg(folder.path())
        .arg(format!("-Ldependency={}", libraries.display()))
        .arg(format!("--extern=tidegate={}", library(&libraries, "tidegate").display()))
        .arg(&file)
        .output()
        .expect("the compiler that has compiled this is there");
    let text = String::from_utf8(output.stderr).expect("the compiler writes text");
    assert_ne!(text.contains("error"), output.status.success(), "{text}");
    text
}

/// The first error is this, and its notes hold that.
fn assert_first(text: &str, message: &str, notes: &[&str]) {
    let begin = text.find("error").unwrap_or_else(|| panic!("no error: {text}"));
    let first = &text[begin..];
    assert!(first.starts_with(&format!("error[E0277]: {message}\n")), "{text}");
    let end = first.find("\n\n").unwrap_or(first.len());
    for note in notes {
        assert!(first[..end].contains(note), "`{note}` is missing in {text}");
    }
}

#[test]
fn a_right_program_compiles() {
    let body = "words.key_by(|word: &String| word.clone()).aggregate(\"count\", Count)
        .sink(\"out\", Collector::default().sink()); numbers.sink(\"numbers\", Collector::default().sink());";
    assert_eq!(said("", body), "");
}

#[test]
fn a_sink_of_another_type() {
    let text = said("", "numbers.sink(\"out\", Collector::<String>::default().sink());");
    assert_first(&text, "this sink does not take `u64`", &["it takes no `u64`", "`map` in front"]);
}

#[test]
fn a_key_that_is_a_float_or_borrowed() {
    let body = "numbers.key_by(|number: &u64| *number as f64).aggregate(\"count\", Count);";
    let text = said("", body);
    assert_first(&text, "`f64` can't be a key", &["`.to_bits()`", "Stream::<T>::key_by"]);
    let text = said("", "words.key_by(|word: &String| word).aggregate(\"count\", Count);");
    assert_first(&text, "`&String` can't be a key", &["`.clone()`", "Stream::<T>::key_by"]);
    let body = "numbers.key_by(|n: &u64| (*n, *n as f64)).aggregate(\"count\", Count);";
    assert_first(&said("", body), "`(u64, f64)` can't be a key", &["`.to_bits()`"]);
}

#[test]
fn a_record_without_serde() {
    let text = said("pub struct P;", "numbers.map(|_| Ok(P));");
    let message = "`P` travels between operators: `#[derive(Clone, Serialize, Deserialize)]`";
    assert_first(&text, message, &["`P` can't travel", "Stream::<T>::map"]);
    assert_eq!(text.matches("error[").count(), 1, "it is said once: {text}");
}
