use proptest::prelude::*;

use super::*;
use crate::{Place, Places};

fn parse(text: &str) -> Address {
    Address::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn every_way_to_write_a_place_is_the_same_place() {
    let plain = parse("/no/such/ck");
    for text in [
        "/no/such/ck/",
        "//no/such/ck",
        "/no/such/./ck",
        "/no/such/other/../ck",
        "file:/no/such/ck",
        "file:///no/such/ck",
        "file:///no/such/ck/",
        "FILE:///no/such/ck",
        "file://localhost/no/such/ck",
    ] {
        assert_eq!(parse(text), plain, "{text}");
    }
    assert_eq!(plain.to_string(), "/no/such/ck");
    assert_eq!(parse("s3://bucket/a/"), parse("s3://bucket/a"));
    assert_eq!(parse("s3://bucket/a%20b"), parse("s3://bucket/a b"));
    assert_eq!(parse("memory://m/a/").to_string(), "memory://m/a");
    assert_ne!(parse("s3://bucket/a"), parse("s3://other/a"));
    assert_ne!(parse("memory://m/a"), parse("memory://n/a"));
}

#[test]
fn what_is_no_address_is_refused_and_never_a_folder_of_that_name() {
    for (text, hint) in [
        ("hdfs:/x", "no scheme `hdfs:`"),
        ("a:b", "./a:b"),
        ("file:x", "expected file:///a/b"),
        ("file://host/x", "expected file:///a/b"),
        ("file:///x?y", "%3F"),
        ("memory:x", "expected memory://name"),
    ] {
        let error = Address::parse(text).expect_err("no address").to_string();
        assert!(error.contains(hint) && error.contains(text), "{error}");
    }
    let here = std::env::current_dir().expect("known").canonicalize().expect("there");
    assert_eq!(parse("./a:b").local(), Some(here.join("a:b").as_path()));
    assert_eq!(absolute("file:/x"), "file:/x");
    assert_eq!(absolute("a/b"), here.join("a/b").display().to_string());
}

#[test]
fn a_password_in_a_url_is_refused_and_not_shown() {
    for text in ["s3://me:xyzzy@bucket/a", "s3://me:xyzzy@b@ucket/a", "hdfs://me:xyzzy@ bad"] {
        let error = Address::parse(text).expect_err("it has a password").to_string();
        assert!(error.contains("://me:******@") && !error.contains("xyzzy"), "{error}");
    }
    assert_eq!(parse("abfs://container@account/a").to_string(), "abfs://container@account/a");
}

#[test]
fn a_link_is_where_it_leads_whether_or_not_what_lies_behind_it_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let real = folder.path().canonicalize().expect("there").join("real");
    std::fs::create_dir(&real).expect("a folder");
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&real, &link).expect("a link");
    for (below, there) in [("", ""), ("a/b", "a/b"), ("a/../b", "b")] {
        let found = parse(&link.join(below).display().to_string());
        assert_eq!(found.local(), Some(real.join(there).as_path()), "{below}");
    }
}

#[test]
fn looking_makes_nothing_and_writing_makes_the_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = Places::default().find(&folder.path().join("a%b/c").display().to_string());
    let place = place.expect("an address");
    assert!(!folder.path().join("a%b").exists(), "it was only looked for");
    let records = place.records("x");
    let made = futures::executor::block_on(records.create("1", "y".into()));
    assert!(made.expect("written"));
    assert!(folder.path().join("a%b/c/x/1").exists());
    let again = Places::default().find(place.address().to_string().as_str()).expect("an address");
    let read = futures::executor::block_on(again.records("x").read("1"));
    assert_eq!(read.expect("read"), Some("y".into()));
}

/// Names of which one often begins with another, or is it.
fn name() -> impl Strategy<Value = String> {
    proptest::sample::select(vec!["a", "ab", "a-b", "a b", "chk-1", "chk-10", "é", "a%20b", "#"])
        .prop_map(str::to_owned)
}

fn names(most: usize) -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(name(), 1..=most)
}

fn url_of(path: &str) -> String {
    Url::from_file_path(path).expect("absolute").to_string()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is open, and however a text is written: it stands for the one folder that it
    /// names, and its own way back.
    #[test]
    fn a_text_stands_for_one_place(
        open in proptest::collection::vec(names(2), 1..5),
        wanted in names(2),
        slashes in 0..3_usize,
        as_url in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let base = folder.path().canonicalize().expect("there").display().to_string();
        let path = |names: &[String]| format!("{base}/{}", names.join("/"));
        let places = Places::new(open.iter().map(|names| Place::open(&path(names)).expect("opens")));
        let plain = path(&wanted);
        let text = if as_url { url_of(&plain) } else { plain.clone() };
        let found = places.find(&(text + &"/".repeat(slashes))).expect("an address");
        prop_assert_eq!(found.to_string(), plain.clone());
        futures::executor::block_on(found.records("r").create("x", "y".into())).expect("written");
        let file = Path::new(&plain).join("r/x");
        prop_assert!(file.exists(), "{} is not there", file.display());
    }

    /// A place lies in another one if its parts begin with all parts of that, not its text.
    #[test]
    fn below_goes_by_parts(a in names(3), b in names(3)) {
        for base in ["/no/such", "memory://m", "s3://bucket"] {
            let address = |names: &[String]| {
                names.iter().fold(parse(base), |address, name| address.join(name))
            };
            let is_below = b.starts_with(&a);
            prop_assert_eq!(address(&b).within(&address(&a)).is_some(), is_below);
            let (shown_a, shown_b) = (address(&a).to_string(), address(&b).to_string());
            prop_assert_eq!(parse(&shown_b).within(&parse(&shown_a)).is_some(), is_below);
        }
    }
}
