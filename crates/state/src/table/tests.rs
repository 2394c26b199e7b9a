use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use proptest::prelude::*;
use tidegate_snapshot::codec::CodecError;
use tidegate_types::BoxError;

use super::*;

fn max(count: u32) -> MaxParallelism {
    MaxParallelism::new(count).expect("in bounds")
}

fn table(groups: u32) -> KeyedTable<u16, u32> {
    KeyedTable::new(KeyGroupRange { start: 0, end: groups }, max(groups))
}

/// Key and value of an entry, two and four bytes.
fn pack() -> Pack<u16, u32> {
    Arc::new(|(key, value), out| {
        out.extend(key.to_le_bytes());
        out.extend(value.to_le_bytes());
        Ok(true)
    })
}

fn pack_all<K: Key, V: StateValue>(table: &mut KeyedTable<K, V>) {
    while table.pack_some() {}
}

fn group_entries(group: &SharedGroup<u16, u32>) -> Vec<(u16, u32)> {
    let mut all = Vec::new();
    for piece in group.packed().expect("packs").pieces {
        let entry = |entry: &[u8]| {
            let (key, value) = entry.split_at(2);
            let key = u16::from_le_bytes(key.try_into().expect("two bytes"));
            (key, u32::from_le_bytes(value.try_into().expect("four bytes")))
        };
        let entries = piece.bytes.chunks(6).map(entry).collect::<Vec<_>>();
        assert_eq!(entries.len() as u64, piece.entries);
        all.extend(entries);
    }
    all
}

fn entries(groups: &[SharedGroup<u16, u32>]) -> HashMap<u16, u32> {
    let mut seen = HashMap::new();
    for (key, value) in groups.iter().flat_map(group_entries) {
        assert_eq!(seen.insert(key, value), None, "the key {key} occurs twice");
    }
    seen
}

/// How many keys there are.
const KEYS: u16 = 300;

/// One step of the test against the model.
#[derive(Clone, Debug)]
enum Step {
    Add(u16, u32),
    Insert(u16, u32),
    Remove(u16),
    Update(u16, Option<u32>),
    Modify(u16, u32),
    Share,
    DropShare(usize),
    /// The worker packs a little.
    Pack,
    /// The encoder has packed what the worker has not written yet.
    Encode(usize),
}

fn step() -> impl Strategy<Value = Step> {
    // Enough of them that groups grow.
    let key = 0..KEYS;
    prop_oneof![
        4 => (key.clone(), any::<u32>()).prop_map(|(key, value)| Step::Add(key, value)),
        2 => (key.clone(), any::<u32>()).prop_map(|(key, value)| Step::Insert(key, value)),
        2 => key.clone().prop_map(Step::Remove),
        2 => (key.clone(), any::<Option<u32>>()).prop_map(|(key, value)| Step::Update(key, value)),
        2 => (key, any::<u32>()).prop_map(|(key, value)| Step::Modify(key, value)),
        1 => Just(Step::Share),
        1 => (0..4usize).prop_map(Step::DropShare),
        1 => Just(Step::Pack),
        1 => (0..4usize).prop_map(Step::Encode),
    ]
}

/// What a share holds, beside what it must hold.
type Share = (Vec<SharedGroup<u16, u32>>, HashMap<u16, u32>);

/// The table under test, the model, and the shares that are alive with what each must hold.
struct Pair {
    table: KeyedTable<u16, u32>,
    model: HashMap<u16, u32>,
    shares: Vec<Share>,
}

impl Pair {
    fn apply(&mut self, step: Step) {
        let (table, model) = (&mut self.table, &mut self.model);
        match step {
            Step::Add(key, value) => {
                let sum = table.get_or_insert_with(KeyHash::of(&key), &key, || 0);
                *sum = sum.wrapping_add(value);
                let sum = model.entry(key).or_insert(0);
                *sum = sum.wrapping_add(value);
            }
            Step::Insert(key, value) => {
                let before = table.insert(KeyHash::of(&key), &key, value);
                assert_eq!(before, model.insert(key, value));
            }
            Step::Remove(key) => {
                assert_eq!(table.remove(KeyHash::of(&key), &key), model.remove(&key));
            }
            Step::Update(key, value) => {
                let mut before = None;
                let updated = table.try_update(KeyHash::of(&key), &key, |old| {
                    before = old;
                    Ok::<_, ()>(value)
                });
                assert_eq!(updated, Ok(()));
                let expected = match value {
                    Some(value) => model.insert(key, value),
                    None => model.remove(&key),
                };
                assert_eq!(before, expected);
            }
            Step::Modify(key, value) => {
                let found = table.get_mut(KeyHash::of(&key), &key).map(|slot| *slot = value);
                assert_eq!(found, model.get_mut(&key).map(|slot| *slot = value));
            }
            Step::Share => self.shares.push((table.share(&pack()), model.clone())),
            Step::DropShare(index) if index < self.shares.len() => {
                self.shares.swap_remove(index);
            }
            Step::DropShare(_) => {}
            Step::Pack => {
                table.pack_some();
            }
            Step::Encode(index) => {
                for group in self.shares.get(index).iter().flat_map(|share| &share.0) {
                    group.pack_what_is_lent();
                }
            }
        }
    }

    fn check(&mut self) {
        pack_all(&mut self.table);
        assert_eq!(self.table.len(), self.model.len());
        assert_eq!(self.table.is_empty(), self.model.is_empty());
        let all: HashMap<u16, u32> = self.table.iter().map(|(key, value)| (*key, *value)).collect();
        assert_eq!(all, self.model);
        for key in 0..KEYS {
            assert_eq!(self.table.get(KeyHash::of(&key), &key), self.model.get(&key));
        }
        for (share, expected) in &self.shares {
            assert_eq!(&entries(share), expected);
        }
    }
}

proptest! {
    #[test]
    fn inv_frozen_a_share_holds_the_state_at_its_barrier(
        groups in 1..9u32,
        steps in prop::collection::vec(step(), 0..1_000),
    ) {
        let mut pair = Pair { table: table(groups), model: HashMap::new(), shares: Vec::new() };
        for step in steps {
            pair.apply(step);
        }
        pair.check();
    }
}

#[test]
fn a_group_is_taken_back_without_a_copy_once_its_share_is_gone() {
    let mut table = table(1);
    for key in 0..100u16 {
        table.insert(KeyHash::of(&key), &key, 1);
    }
    let place = |table: &KeyedTable<u16, u32>| {
        std::ptr::from_ref(table.get(KeyHash::of(&7u16), &7).unwrap()) as usize
    };
    let before = place(&table);
    let share = table.share(&pack());
    drop(share);
    *table.get_mut(KeyHash::of(&7u16), &7).unwrap() = 2;
    assert_eq!(place(&table), before);

    let share = table.share(&pack());
    *table.get_mut(KeyHash::of(&7u16), &7).unwrap() = 3;
    assert_eq!(place(&table), before, "only what is written is packed");
    pack_all(&mut table);
    assert_eq!(place(&table), before);
    assert_eq!(entries(&share)[&7], 2);
}

#[test]
fn the_worker_waits_for_a_step_of_the_encoder_and_packs_the_rest_itself() {
    let mut table = KeyedTable::<u64, u64>::new(KeyGroupRange { start: 0, end: 1 }, max(1));
    for key in 0..100_000 {
        table.insert(KeyHash::of(&key), &key, key);
    }
    let (begun, has_begun) = std::sync::mpsc::sync_channel(1);
    let on_encoder = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&on_encoder);
    let worker = std::thread::current().id();
    let pack: Pack<u64, u64> = Arc::new(move |(key, value), out| {
        if std::thread::current().id() != worker
            && count.fetch_add(1, Ordering::Relaxed).is_multiple_of(shared::STEP)
        {
            let _ = begun.try_send(());
            // Long enough for the worker to come; for all of the group it would be seconds.
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(key, value, "what is written afterwards is not in it");
        out.extend(key.to_le_bytes());
        Ok(true)
    });
    let share = table.share(&pack).pop().expect("a group");
    let is_packing = || on_encoder.load(Ordering::Relaxed) < 50_000;
    std::thread::scope(|scope| {
        let encoder = scope.spawn(move || share.packed().expect("packs"));
        has_begun.recv().expect("sent");
        let other = table.share(&pack).pop().expect("a group");
        assert!(!table.pack_some() && is_packing(), "the next barrier does not wait for all of it");
        *table.get_mut(KeyHash::of(&7u64), &7).expect("there") = 0;
        assert!(is_packing(), "it has let the worker in");
        pack_all(&mut table);
        assert!(other.packed().is_ok());
        let pieces = encoder.join().expect("no panic").pieces;
        let keys = pieces.iter().flat_map(|piece| piece.bytes.chunks(8));
        let mut keys = keys.map(|key| u64::from_le_bytes(key.try_into().expect("eight bytes")));
        let mut keys = keys.by_ref().collect::<Vec<_>>();
        keys.sort_unstable();
        assert!(keys.into_iter().eq(0..100_000));
        assert_eq!(pieces.iter().map(|piece| piece.entries).sum::<u64>(), 100_000);
    });
}

#[test]
fn what_a_dropped_table_has_not_packed_is_abandoned() {
    let mut table = table(1);
    table.insert(KeyHash::of(&7u16), &7, 1);
    let share = table.share(&pack()).pop().expect("a group");
    table.insert(KeyHash::of(&7u16), &7, 2);
    drop(table);
    assert!(matches!(share.packed(), Err(shared::PackError::Abandoned)));
}

#[test]
fn what_a_dropped_table_has_not_written_is_packed() {
    let mut table = table(1);
    table.insert(KeyHash::of(&7u16), &7, 1);
    let share = table.share(&pack()).pop().expect("a group");
    drop(table);
    assert_eq!(group_entries(&share), [(7, 1)]);
}

#[test]
fn an_encoder_that_panics_gives_the_group_up_and_leaves_it_to_the_worker() {
    let mut table = table(1);
    table.insert(KeyHash::of(&7u16), &7, 1);
    let bad: Pack<u16, u32> = Arc::new(|_, _| panic!("a value that can't be written"));
    let share = table.share(&bad).pop().expect("a group");
    let again = table.share(&bad).pop().expect("a group");
    assert!(std::thread::spawn(move || share.packed().map(drop)).join().is_err());
    assert!(matches!(again.packed(), Err(shared::PackError::Abandoned)));
    assert_eq!(table.insert(KeyHash::of(&7u16), &7, 2), Some(1));
    assert!(!table.pack_some());
}

#[test]
fn an_error_of_a_value_comes_out_whoever_packs_it() {
    let bad: Pack<u16, u32> = Arc::new(|_, _| Err(CodecError::LeftOver { count: 1 }));
    for worker_writes in [false, true] {
        let mut table = table(1);
        table.insert(KeyHash::of(&7u16), &7, 1);
        let share = table.share(&bad).pop().expect("a group");
        if worker_writes {
            table.insert(KeyHash::of(&7u16), &7, 2);
            pack_all(&mut table);
        }
        assert!(matches!(share.packed(), Err(shared::PackError::Encode(_))));
    }
}

#[test]
fn shares_that_another_thread_reads_hold_the_state_at_their_barrier() {
    // Groups of several steps each, so that some change hands half packed.
    let mut table = table(8);
    let (sender, shares) = std::sync::mpsc::channel::<Share>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for (share, expected) in shares {
                assert_eq!(entries(&share), expected);
            }
        });
        let mut model = HashMap::new();
        for step in 0..60_000_u32 {
            let key = (step.wrapping_mul(0x9e37_79b9) >> 16) as u16 % 20_000;
            table.insert(KeyHash::of(&key), &key, step);
            model.insert(key, step);
            if step % 2_000 == 0 {
                sender.send((table.share(&pack()), model.clone())).expect("it reads");
            }
            if step % 3 == 0 {
                table.pack_some();
            }
        }
        pack_all(&mut table);
        drop(sender);
    });
}

#[test]
fn shares_come_in_the_order_of_groups_and_without_empty_ones() {
    let mut table = table(64);
    for key in 0..40u16 {
        table.insert(KeyHash::of(&key), &key, u32::from(key));
    }
    let groups: Vec<u32> = table.share(&pack()).iter().map(|share| share.group().get()).collect();
    assert!(groups.is_sorted_by(|a, b| a < b));
    let mut expected: Vec<u32> =
        (0..40u16).map(|key| KeyHash::of(&key).group(max(64)).get()).collect();
    expected.sort_unstable();
    expected.dedup();
    assert_eq!(groups, expected);
    assert!(table.share(&pack()).iter().all(|share| !group_entries(share).is_empty()));
}

#[test]
fn an_error_of_an_update_comes_back() {
    let mut table = table(4);
    table.insert(KeyHash::of(&1u16), &1, 1);
    assert_eq!(table.try_update(KeyHash::of(&1u16), &1, |_| Err("no")), Err("no"));
}

#[test]
fn a_key_of_another_subtask_is_refused_for_good() {
    let table: KeyedTable<u16, u32> = KeyedTable::new(KeyGroupRange { start: 0, end: 1 }, max(128));
    let stranger = (0..100u16).find(|key| KeyHash::of(key).group(max(128)).get() > 0).unwrap();
    let get = || table.get(KeyHash::of(&stranger), &stranger).copied();
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(get));
    let error = caught.expect_err("it is another's").downcast::<BoxError>().expect("an error");
    assert_eq!(ErrorKind::marked(error.as_ref().as_ref()), Some(ErrorKind::Invalid));
    let message = error.to_string();
    assert!(message.contains("came to the subtask of groups 0..1: the key selector"), "{message}");
}

#[test]
fn a_sweep_comes_by_every_entry_and_leaves_shared_groups_alone() {
    let mut table = table(8);
    for key in 0..200u16 {
        table.insert(KeyHash::of(&key), &key, u32::from(key));
    }
    let mut cursor = SweepCursor::default();
    let share = table.share(&pack());
    table.sweep(&mut cursor, 10_000, |_| true, |_| false);
    assert_eq!(table.len(), 200);
    drop(share);
    for key in 0..200u16 {
        let _ = table.get_mut(KeyHash::of(&key), &key);
    }
    table.sweep(&mut cursor, 10_000, |value| *value % 2 == 0, |_| false);
    assert_eq!(table.len(), 100);
}

#[test]
fn asking_for_memory_changes_nothing() {
    let mut table = KeyedTable::<u64, [u64; 8]>::new(KeyGroupRange { start: 0, end: 4 }, max(4));
    table.prefetch(&[]);
    let hashes = (0..40_000_u64).map(|key| KeyHash::of(&key)).collect::<Vec<_>>();
    for (key, hash) in (0..).zip(&hashes) {
        table.prefetch(&hashes[key as usize..][..1]);
        // Every second key, so that half of what is asked for is not there.
        if key % 2 == 0 {
            table.insert(*hash, &key, [key; 8]);
        }
    }
    let pack: Pack<u64, [u64; 8]> = Arc::new(|_, out| {
        out.push(0);
        Ok(true)
    });
    let shared = table.share(&pack);
    assert!(table.len() * size_of::<(u64, [u64; 8])>() > CACHED_BYTES, "large enough to matter");
    for (key, hashes) in (0..40_000_u64).step_by(100).zip(hashes.chunks(100)) {
        table.prefetch(hashes);
        assert_eq!(table.get(hashes[0], &key), Some(&[key; 8]));
        assert_eq!(table.get(hashes[1], &(key + 1)), None);
    }
    let pieces = shared.iter().flat_map(|group| group.packed().expect("packs").pieces);
    assert_eq!(pieces.map(|piece| piece.entries).sum::<u64>(), 20_000);
}
