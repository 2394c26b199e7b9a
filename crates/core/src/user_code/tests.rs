use std::{panic::Location, vec};

use serde::{Serialize, Serializer};
use tidegate_types::error::{chain, throw};

use super::*;
use crate::selector::KeySelector;

#[derive(Clone, Serialize)]
struct Numbered {
    n: u64,
}

/// What is told of an operator whose work ends like that.
fn told(work: impl FnOnce(&Watch) -> UserResult<()>) -> String {
    let watch = Watch::default();
    let error = watch.over(|| work(&watch)).expect_err("it fails");
    chain(&*OperatorError::blame(&"_map-1".into(), "map at main.rs:7", error))
}

#[test]
fn an_error_and_a_panic_tell_the_record() {
    let all = [Numbered { n: 6 }, Numbered { n: 7 }];
    let refuse = |record: Numbered| if record.n == 7 { Err("no sevens".into()) } else { Ok(()) };
    let message = told(|watch| watch.over_each(&all, |record| refuse(record.clone())));
    assert_eq!(message, "map at main.rs:7 failed on {\"n\":7}: no sevens");
    let message = told(|watch| watch.over_each(&all[1..], |record| panic!("no {}", record.n)));
    assert_eq!(message, "map at main.rs:7 failed on {\"n\":7}: panicked: no 7");
    let both = all.to_vec();
    let message = told(|watch| {
        watch.over_owned(both, |mut records, mut cursor| {
            records.try_for_each(|record| {
                cursor.advance();
                refuse(record)
            })
        })
    });
    assert_eq!(message, "map at main.rs:7 failed on {\"n\":7}: no sevens");
    let message = told(|watch| watch.over_owned(vec![7], |_, _| Err("before the first".into())));
    assert_eq!(message, "map at main.rs:7 failed: before the first");
}

#[test]
fn what_is_taken_by_value_is_copied_where_that_costs_nothing_or_where_it_was_asked_for() {
    assert!(is_plain::<Numbered>() && is_plain::<[u64; 8]>() && is_plain::<Option<&str>>());
    assert!(!is_plain::<String>() && !is_plain::<[u64; 9]>());
    let telling = Telling::new(true);
    let watch = Watch::new(&telling);
    let fail = |watch: &Watch| {
        let fail = |_: vec::IntoIter<String>, mut cursor: Cursor<'_>| -> UserResult<()> {
            cursor.advance();
            Err("no".into())
        };
        let error = watch.over_owned(vec!["seven".to_owned()], fail).expect_err("it fails");
        chain(&*OperatorError::blame(&"words".into(), "map at main.rs:7", error))
    };
    let with_record = "operator `words` (map at main.rs:7) failed on \"seven\": no";
    assert_eq!(fail(&watch), with_record);
    telling.end();
    let always = cfg!(debug_assertions);
    let without = "operator `words` (map at main.rs:7) failed: no";
    assert_eq!(fail(&watch), if always { with_record } else { without });
}

#[test]
fn what_fails_in_an_operator_behind_is_not_told_of_this_one() {
    let message = told(|watch| {
        watch.over_each(&[Numbered { n: 7 }], |_| {
            Err(OperatorError::blame(&"behind".into(), "filter at main.rs:8", "no".into()))
        })
    });
    assert_eq!(message, "operator `behind` (filter at main.rs:8) failed: no");
    let message = told(|watch| {
        watch.over_each(&[Numbered { n: 7 }], |_| Ok(()))?;
        Err("it can't be handed on".into())
    });
    assert_eq!(message, "map at main.rs:7 failed: it can't be handed on");
}

#[test]
fn a_key_selector_is_named_with_its_place_and_the_record() {
    let place = Location::caller();
    let watch = Watch::default();
    let select = |record: &Numbered| match record.n {
        7 => panic!("no key for 7"),
        n => n,
    };
    let selector = KeySelector::new(select, "count".into(), place);
    let records = [Numbered { n: 6 }, Numbered { n: 7 }];
    let error = selector.keys(&watch, &records, &mut Vec::new()).expect_err("it fails");
    let error = OperatorError::blame(&"another".into(), "source at main.rs:1", error);
    let expected = format!(
        "the key selector of `count` ({}:{}) panicked on {{\"n\":7}}: no key for 7",
        place.file(),
        place.line()
    );
    assert_eq!(chain(&*error), expected);
    let other = OperatorError::blame_selector(&"count".into(), place, "a link is down".into());
    assert_eq!(other.to_string(), "a link is down");
}

#[test]
fn where_the_record_lies_in_the_input_comes_behind_it() {
    let told = |subject: Option<Subject>| {
        let source = "no".into();
        let mut error = match subject {
            Some(subject) => {
                let failed = Box::new(Failed { subject, source });
                OperatorError::blame(&"_map-1".into(), "map at main.rs:7", failed)
            }
            None => OperatorError::blame(&"_map-1".into(), "map at main.rs:7", source),
        };
        let found = error.downcast_mut::<OperatorError>().expect("it names an operator");
        found.set_input(Some("a.jsonl line 8".to_owned()));
        (found.record(), error.to_string())
    };
    let of =
        |shown: Option<&str>| Some(Subject::Record { index: 3, shown: shown.map(str::to_owned) });
    let expected = "map at main.rs:7 failed on 7 of a.jsonl line 8";
    assert_eq!(told(of(Some("7"))), (Some(3), expected.to_owned()));
    let expected = "map at main.rs:7 failed on a record of a.jsonl line 8";
    assert_eq!(told(of(None)), (Some(3), expected.to_owned()));
    let timer = Subject::Timer { kind: "event", millis: 5, key: Some("7".to_owned()) };
    let expected = "map at main.rs:7 failed in the event timer for 5 ms of the key 7";
    assert_eq!(told(Some(timer)), (None, expected.to_owned()));
    assert_eq!(told(None), (None, "map at main.rs:7 failed".to_owned()));
}

#[test]
fn a_long_record_is_cut_between_two_characters_and_written_no_further() {
    /// Is as long as it may be looked at.
    struct Endless;

    impl Serialize for Endless {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(std::iter::repeat("状🦀"))
        }
    }

    let text = shown(&Endless).expect("it can be shown");
    assert_eq!(text.chars().count(), 201);
    assert!(text.starts_with("[\"状🦀\",\"状🦀\"") && text.ends_with('…'), "{text}");
    assert_eq!(shown(&"a\nb"), Some("\"a\\nb\"".to_owned()), "it is one line");
    let exact = "x".repeat(198);
    assert_eq!(shown(&exact), Some(format!("\"{exact}\"")));
}

#[test]
fn a_record_that_can_not_be_shown_hides_no_failure() {
    /// Fails as well when somebody looks at it.
    #[derive(Clone)]
    struct Hidden(fn() -> &'static str);

    impl Serialize for Hidden {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom((self.0)()))
        }
    }

    for show in [|| "it has no form", || panic!("it has none at all")] {
        let message = told(|watch| watch.over_each(&[Hidden(show)], |_| panic!("first")));
        assert_eq!(message, "map at main.rs:7 failed: panicked: first");
    }
}

#[test]
fn what_is_thrown_is_an_error_and_no_panic() {
    let error = caught::<()>(|| throw("as it is".into())).expect_err("it is thrown");
    assert_eq!(error.to_string(), "as it is");
    let work = async { panic!("in a future") };
    let error = futures::executor::block_on(caught_async::<()>(work)).expect_err("it panics");
    assert_eq!(error.to_string(), "panicked: in a future");
}
