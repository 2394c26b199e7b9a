use tidegate_types::ErrorKind;

use super::*;

#[test]
fn lists_come_back_by_name() {
    let mut backend = OperatorBackend::default();
    let mut offsets =
        backend.list_state::<(String, u64)>("offsets", Redistribution::Split).unwrap();
    let mut rules = backend.list_state::<String>("rules", Redistribution::Union).unwrap();
    offsets.update(vec![("a".to_owned(), 1), ("b".to_owned(), 2)]);
    offsets.add(("c".to_owned(), 3));
    rules.add("all".to_owned());
    let saved = backend.snapshot().unwrap();
    assert_eq!(saved[0].items.len(), 3);
    assert_eq!(saved[1].redistribution, Redistribution::Union);

    // Split: this subtask gets two of the items, from two subtasks' lists.
    let part = |list: &segment::ListState, item: usize| segment::ListState {
        items: vec![list.items[item].clone()],
        ..list.clone()
    };
    let restored = vec![part(&saved[0], 0), saved[1].clone(), part(&saved[0], 2)];
    let mut backend = OperatorBackend::new(restored);
    let offsets = backend.list_state::<(String, u64)>("offsets", Redistribution::Split).unwrap();
    let mut got = offsets.get();
    got.sort();
    assert_eq!(got, [("a".to_owned(), 1), ("c".to_owned(), 3)]);
    assert_eq!(backend.undeclared(), ["rules"]);
}

#[test]
fn an_item_of_another_type_is_refused_with_both_descriptions() {
    let mut backend = OperatorBackend::default();
    let mut numbers = backend.list_state::<u64>("numbers", Redistribution::Split).unwrap();
    numbers.add(1);
    let mut restored = OperatorBackend::new(backend.snapshot().unwrap());
    let error = restored.list_state::<i64>("numbers", Redistribution::Split).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Incompatible);
    assert_eq!(
        error.to_string(),
        "the state `numbers` is `u64` (operator state) in the snapshot, and `i64` (operator state) \
         in the program"
    );
}

#[test]
fn a_name_may_be_used_once() {
    let mut backend = OperatorBackend::default();
    let _list = backend.list_state::<u64>("it", Redistribution::Split).unwrap();
    let error = backend.list_state::<u64>("it", Redistribution::Union).unwrap_err();
    assert!(matches!(error, StateError::Duplicate { .. }));
}
