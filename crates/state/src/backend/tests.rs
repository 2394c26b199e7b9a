mod looked_at;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use proptest::prelude::*;
use tidegate_snapshot::segment::{KeyedSegmentReader, KeyedSegmentWriter};
use tidegate_types::{ErrorKind, Parallelism, SubtaskIndex, time::ManualClock};

use super::*;

const MAX: u32 = 16;

fn max() -> MaxParallelism {
    MaxParallelism::new(MAX).expect("in bounds")
}

fn ranges(parallelism: u32) -> Vec<KeyGroupRange> {
    let parallelism = Parallelism::new(parallelism).expect("not zero");
    let owned = |subtask: SubtaskIndex| KeyGroupRange::owned_by(subtask, parallelism, max());
    parallelism.subtasks().map(owned).collect()
}

fn backend<K: Key>(range: KeyGroupRange) -> KeyedBackend<K> {
    KeyedBackend::new(range, max(), Arc::new(ManualClock::default()))
}

/// A snapshot of one subtask, as it would lie in a file.
struct Saved {
    segment: Bytes,
    groups: KeyGroupRange,
    states: Vec<StateDescription>,
    key_type: String,
}

impl Saved {
    fn of<K: Key>(backend: &mut KeyedBackend<K>) -> Self {
        let (states, snapshot) = backend.snapshot();
        let (groups, key_type) = (backend.range(), backend.key_type().to_owned());
        Self { segment: encode(groups, snapshot), groups, states, key_type }
    }

    fn source(&self, groups: KeyGroupRange) -> RestoreSource<'_> {
        let segment = KeyedSegmentReader::open(self.segment.clone()).expect("just written");
        let groups = self.groups.intersection(&groups);
        RestoreSource::of_segment(segment, groups, &self.states, &self.key_type)
    }
}

fn encode(groups: KeyGroupRange, snapshot: Box<dyn KeyedSnapshot>) -> Bytes {
    let mut writer = KeyedSegmentWriter::new(groups);
    let encoder = std::thread::spawn(move || {
        snapshot.encode(&mut writer).expect("plain values encode");
        writer.finish()
    });
    encoder.join().expect("the encoder does not panic").into()
}

/// A job with a state of each kind, as one subtask runs it.
struct Subtask {
    backend: KeyedBackend<String>,
    count: ValueState<u64>,
    seen: ListState<u32>,
    by_kind: MapState<(u8, bool), i64>,
    highest: ReducingState<u32>,
    mean: AggregatingState<Mean, u32>,
}

struct Mean;

impl AggregateFunction<u32> for Mean {
    type Acc = (u64, u64);
    type Out = f64;

    fn create(&self) -> (u64, u64) {
        (0, 0)
    }

    fn add(&self, acc: &mut (u64, u64), value: u32) -> UserResult<()> {
        *acc = (acc.0 + u64::from(value), acc.1 + 1);
        Ok(())
    }

    fn result(&self, acc: &(u64, u64)) -> UserResult<f64> {
        Ok(acc.0 as f64 / acc.1 as f64)
    }
}

impl Subtask {
    fn new(range: KeyGroupRange) -> Self {
        let mut backend = backend(range);
        let ttl = Some(StateTtl::new(std::time::Duration::from_secs(60)));
        Self {
            count: backend.value_state("count", None).unwrap(),
            seen: backend.list_state("seen", ttl).unwrap(),
            by_kind: backend.map_state("by kind", None).unwrap(),
            highest: backend.reducing_state("highest", None, |a: u32, b| Ok(a.max(b))).unwrap(),
            mean: backend.aggregating_state("mean", None, Mean).unwrap(),
            backend,
        }
    }

    fn on_record(&mut self, key: &str, value: u32) {
        self.backend.set_current_key(key.to_owned());
        self.count.set(self.count.get().unwrap_or(0) + 1);
        self.seen.add(value);
        let kind = (value as u8 % 3, value > 100);
        if self.by_kind.modify(&kind, |sum| *sum += i64::from(value)).is_none() {
            self.by_kind.put(kind, i64::from(value));
        }
        self.highest.add(value).unwrap();
        self.mean.add(value).unwrap();
        self.backend.register_timer(TimeDomain::EventTime, i64::from(value));
    }

    /// All that is known of a key, as text.
    fn of(&mut self, key: &str) -> String {
        self.backend.set_current_key(key.to_owned());
        let by_kind: BTreeMap<_, _> = self.by_kind.entries().into_iter().collect();
        let mean = self.mean.get().unwrap();
        let (count, highest) = (self.count.get(), self.highest.get());
        format!("{count:?} {:?} {by_kind:?} {highest:?} {mean:?}", self.seen.get())
    }
}

struct Job {
    subtasks: Vec<Subtask>,
}

impl Job {
    fn new(parallelism: u32) -> Self {
        Self { subtasks: ranges(parallelism).into_iter().map(Subtask::new).collect() }
    }

    fn subtask(&mut self, key: &str) -> &mut Subtask {
        let group = KeyHash::of(key).group(max());
        let owner = self.subtasks.iter_mut().find(|task| task.backend.range().contains(group));
        owner.expect("the ranges cover every group")
    }

    fn save(&mut self) -> Vec<Saved> {
        self.subtasks.iter_mut().map(|task| Saved::of(&mut task.backend)).collect()
    }

    fn restore(parallelism: u32, saved: &[Saved]) -> Self {
        let mut job = Self::new(parallelism);
        for task in &mut job.subtasks {
            let range = task.backend.range();
            let sources: Vec<_> = saved.iter().map(|part| part.source(range)).collect();
            assert_eq!(task.backend.restore(&sources).unwrap(), Vec::<String>::new());
        }
        job
    }

    fn timers(&mut self) -> BTreeSet<(i64, String)> {
        let mut due = BTreeSet::new();
        for task in &mut self.subtasks {
            while let Some(timer) = task.backend.pop_due(TimeDomain::EventTime, i64::MAX) {
                assert!(due.insert((timer.time, timer.key)), "a timer fires once");
            }
        }
        due
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn state_comes_back_at_every_parallelism(
        before in 1..8u32,
        after in 1..8u32,
        records in prop::collection::vec((0..30u8, any::<u8>()), 0..120),
        later in prop::collection::vec((0..30u8, any::<u8>()), 0..40),
    ) {
        let mut job = Job::new(before);
        let mut model = Job::new(1);
        for (key, value) in records {
            for job in [&mut job, &mut model] {
                let key = key.to_string();
                job.subtask(&key).on_record(&key, value.into());
            }
        }
        let saved = job.save();
        for (key, value) in later {
            let key = key.to_string();
            job.subtask(&key).on_record(&key, value.into());
        }
        let mut restored = Job::restore(after, &saved);
        for key in (0..30u8).map(|key| key.to_string()) {
            prop_assert_eq!(restored.subtask(&key).of(&key), model.subtask(&key).of(&key));
        }
        prop_assert_eq!(restored.timers(), model.timers());
    }
}

fn all_groups() -> KeyGroupRange {
    KeyGroupRange { start: 0, end: MAX }
}

/// Saves one value of type `V` under the key "k", in the state "it".
fn saved_value<V: StateValue>(value: V) -> Saved {
    let mut backend = backend::<String>(all_groups());
    let mut state = backend.value_state("it", None).unwrap();
    backend.set_current_key("k".to_owned());
    state.set(value);
    Saved::of(&mut backend)
}

#[test]
fn other_types_are_carried_over_with_their_times_and_under_other_keys() {
    let ttl = Some(StateTtl::new(std::time::Duration::from_secs(60)));
    let mut before = backend::<u8>(all_groups());
    let mut value = before.value_state::<u16>("value", ttl).unwrap();
    let mut list = before.list_state::<(i8, String)>("list", ttl).unwrap();
    let mut map = before.map_state::<u8, f32>("map", ttl).unwrap();
    for key in 0..50 {
        before.set_current_key(key);
        value.set(u16::from(key) + 300);
        list.add((-1, key.to_string()));
        map.put(key, 0.5);
        before.register_timer(TimeDomain::EventTime, i64::from(key));
    }
    let saved = Saved::of(&mut before);
    let mut seen = 0;
    // Other keys are in other groups: each of several subtasks looks through all of them.
    for range in ranges(3) {
        let mut after = backend::<Option<u64>>(range);
        let value = after.value_state::<i32>("value", ttl).unwrap();
        let list = after.list_state::<(i16, Option<String>)>("list", ttl).unwrap();
        let map = after.map_state::<u32, f64>("map", ttl).unwrap();
        after.restore(&[saved.source(all_groups())]).unwrap();
        for key in 0..50_u8 {
            let key_now = Some(u64::from(key));
            if !range.contains(KeyHash::of(&key_now).group(max())) {
                continue;
            }
            seen += 1;
            after.set_current_key(key_now);
            assert_eq!(value.get(), Some(i32::from(key) + 300));
            assert_eq!(list.get(), [(-1, Some(key.to_string()))]);
            assert_eq!(map.entries(), [(u32::from(key), 0.5)]);
        }
        let timers = std::iter::from_fn(|| after.pop_due(TimeDomain::EventTime, 1_000));
        for timer in timers {
            assert_eq!(timer.key.map(|key| key as i64), Some(timer.time));
        }
    }
    assert_eq!(seen, 50);
}

#[test]
fn a_value_of_another_type_is_refused_with_both_descriptions() {
    let saved = saved_value((1u64, "x".to_owned()));
    let mut backend = backend::<String>(all_groups());
    let _state = backend.value_state::<(u64, Option<u8>)>("it", None).unwrap();
    let error = backend.restore(&[saved.source(all_groups())]).unwrap_err();
    assert!(matches!(error, StateError::Incompatible { source: Some(_), .. }));
    assert_eq!(error.kind(), ErrorKind::Incompatible);
    assert_eq!(
        error.to_string(),
        "the state `it` is `(u64, String)` (value state) in the snapshot, and `(u64, Option<u8>)` \
         (value state) in the program"
    );
}

#[test]
fn another_kind_is_refused() {
    let saved = saved_value(1u64);
    let mut list = backend::<String>(all_groups());
    let _state = list.list_state::<u64>("it", None).unwrap();
    let error = list.restore(&[saved.source(all_groups())]).unwrap_err();
    assert!(error.to_string().contains("and `List<u64>` (list state) in"), "{error}");
}

/// A state of each kind with this TTL. `Wide` is what values are, or what they were made into.
struct Kinds<Wide: StateValue> {
    backend: KeyedBackend<u8>,
    value: ValueState<BTreeMap<u8, Wide>>,
    list: ListState<Wide>,
    map: MapState<String, Wide>,
    sum: ReducingState<Wide>,
}

impl<Wide: StateValue + From<u16>> Kinds<Wide> {
    fn new(clock: &Arc<ManualClock>, ttl: Option<StateTtl>) -> Self {
        let clock = Arc::clone(clock) as Arc<dyn Clock>;
        let mut backend = KeyedBackend::new(all_groups(), max(), clock);
        Self {
            value: backend.value_state("value", ttl).unwrap(),
            list: backend.list_state("list", ttl).unwrap(),
            map: backend.map_state("map", ttl).unwrap(),
            sum: backend.reducing_state("sum", ttl, |_, new| Ok(new)).unwrap(),
            backend,
        }
    }

    fn fill(&mut self) {
        for key in 0..20 {
            self.backend.set_current_key(key);
            let number = Wide::from(u16::from(key) + 300);
            self.value.set([(key, number.clone())].into());
            self.list.add_all(vec![number.clone(); usize::from(key) + 1]);
            self.map.put("a".to_owned(), number.clone());
            self.map.put("b".to_owned(), number.clone());
            self.sum.add(number).unwrap();
        }
    }

    /// How much of all that is there.
    fn len(&mut self) -> usize {
        self.backend.update_now();
        let mut len = 0;
        for key in 0..20 {
            self.backend.set_current_key(key);
            len += usize::from(self.value.is_set()) + self.list.len() + self.map.entries().len();
            len += usize::from(self.sum.get().is_some());
        }
        len
    }
}

/// How much [`Kinds::fill`] puts in.
const FILLED: usize = 20 + 210 + 40 + 20;

/// Switches a TTL on and off again, with the types that values have before and afterwards.
fn switch<Before: StateValue + From<u16>, After: StateValue + From<u16>>() {
    let clock = Arc::new(ManualClock::default());
    let second = std::time::Duration::from_secs(1);
    let mut before = Kinds::<Before>::new(&clock, None);
    before.fill();
    let saved = Saved::of(&mut before.backend);
    clock.advance(second * 3600);
    let mut with = Kinds::<After>::new(&clock, Some(StateTtl::new(second)));
    with.backend.restore(&[saved.source(all_groups())]).unwrap();
    assert_eq!(with.len(), FILLED, "what is there lives from the restore on");
    let saved = Saved::of(&mut with.backend);
    clock.advance(second);
    assert_eq!(with.len(), 0, "it has expired");

    let mut without = Kinds::<After>::new(&clock, None);
    without.backend.restore(&[saved.source(all_groups())]).unwrap();
    assert_eq!(without.len(), FILLED, "nothing expires any more");
    clock.advance(second * 3600);
    assert_eq!(without.len(), FILLED);
}

#[test]
fn a_ttl_can_be_switched_on_and_off() {
    switch::<u16, u16>();
    switch::<u16, u64>();
}

#[test]
fn a_ttl_may_become_longer_or_shorter() {
    let clock = Arc::new(ManualClock::default());
    let second = std::time::Duration::from_secs(1);
    let with = |seconds| Kinds::<u16>::new(&clock, Some(StateTtl::new(second * seconds)));
    let mut before = with(10);
    before.fill();
    clock.advance(second * 5);
    let saved = Saved::of(&mut before.backend);

    let mut shorter = with(5);
    shorter.backend.restore(&[saved.source(all_groups())]).unwrap();
    assert_eq!(shorter.len(), 0, "it was written five seconds ago");
    let (mut as_before, mut longer) = (with(10), with(60));
    for after in [&mut as_before, &mut longer] {
        after.backend.restore(&[saved.source(all_groups())]).unwrap();
        assert_eq!(after.len(), FILLED);
    }
    clock.advance(second * 5);
    assert_eq!((as_before.len(), longer.len()), (0, FILLED));
    clock.advance(second * 49);
    assert_eq!(longer.len(), FILLED, "since it was written, not since the restore");
    clock.advance(second);
    assert_eq!(longer.len(), 0);
}

#[test]
fn a_state_that_was_renamed_is_found_by_its_old_name() {
    let saved = saved_value(7u64);
    let mut renamed = backend::<String>(all_groups());
    let state = renamed.value_state::<u64>(StateName::from("new").was("it"), None).unwrap();
    assert_eq!(renamed.restore(&[saved.source(all_groups())]).unwrap(), Vec::<String>::new());
    renamed.set_current_key("k".to_owned());
    assert_eq!(state.get(), Some(7));

    // A state that has the name still goes before.
    let mut both = backend::<String>(all_groups());
    let it = both.value_state::<u64>("it", None).unwrap();
    let new = both.value_state::<u64>(StateName::from("new").was("it"), None).unwrap();
    both.restore(&[saved.source(all_groups())]).unwrap();
    both.set_current_key("k".to_owned());
    assert_eq!((it.get(), new.get()), (Some(7), None));
}

#[test]
fn a_state_without_a_name_is_refused() {
    let mut backend = backend::<String>(all_groups());
    let error = backend.value_state::<u64>(" ", None).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(matches!(error, StateError::EmptyName));
}

#[test]
fn a_value_that_no_longer_decodes_is_refused_even_if_descriptions_agree() {
    let mut saved = saved_value(7u8);
    saved.states.iter_mut().find(|state| state.name == "it").unwrap().value_type =
        crate::type_description::<String>();
    let mut backend = backend::<String>(all_groups());
    let _state = backend.value_state::<String>("it", None).unwrap();
    let error = backend.restore(&[saved.source(all_groups())]).unwrap_err();
    assert!(matches!(error, StateError::Incompatible { source: Some(_), .. }), "{error}");
}

#[test]
fn left_over_bytes_and_strange_groups_are_refused() {
    let (mut saved, hash) = (saved_value(7u8), KeyHash::of("k"));
    let mut restore = |group, entries: &[(&str, u8)], count| {
        let mut writer = KeyedSegmentWriter::new(all_groups());
        writer.begin_block(group, 2);
        for entry in entries {
            tidegate_snapshot::codec::encode(entry, writer.buffer()).unwrap();
        }
        writer.end_block(count);
        saved.segment = writer.finish().into();
        let mut backend = backend::<String>(all_groups());
        let _state = backend.value_state::<u8>("it", None).unwrap();
        backend.restore(&[saved.source(all_groups())])
    };
    let group = hash.group(max());
    assert!(restore(group, &[("k", 1)], 1).is_ok());
    let error = restore(group, &[("k", 1), ("k", 2)], 1).unwrap_err();
    assert!(matches!(error, StateError::Incompatible { source: Some(_), .. }), "{error}");
    let other = tidegate_types::KeyGroup((group.get() + 1) % MAX);
    let error = restore(other, &[("k", 1)], 1).unwrap_err();
    assert!(error.to_string().contains("a key of another key group"), "{error}");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn keys_of_another_type_are_refused() {
    let saved = saved_value(1u64);
    let error = backend::<u32>(all_groups()).restore(&[saved.source(all_groups())]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the snapshot's keys are of type `String`, and the program's of type `u32`"
    );
}

#[test]
fn states_are_matched_by_name_and_the_dropped_ones_are_told() {
    let mut old = backend::<String>(all_groups());
    let mut gone = old.value_state::<u8>("gone", None).unwrap();
    let mut kept = old.value_state::<u16>("kept", None).unwrap();
    old.set_current_key("k".to_owned());
    gone.set(1);
    kept.set(2);
    let saved = Saved::of(&mut old);

    let mut new = backend::<String>(all_groups());
    let kept = new.value_state::<u16>("kept", None).unwrap();
    let added = new.value_state::<u8>("added", None).unwrap();
    assert_eq!(new.restore(&[saved.source(all_groups())]).unwrap(), ["gone"]);
    new.set_current_key("k".to_owned());
    assert_eq!((kept.get(), added.get()), (Some(2), None));
}

#[test]
fn a_name_may_be_used_once() {
    let mut backend = backend::<String>(all_groups());
    let _state = backend.value_state::<u8>("it", None).unwrap();
    let error = backend.list_state::<u8>("it", None).err().unwrap();
    assert_eq!(error.to_string(), "the state `it` is declared twice");
    let ttl = StateTtl::new(std::time::Duration::ZERO);
    let error = backend.value_state::<u8>("zero", Some(ttl)).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[test]
fn a_single_table_is_restored_from_its_own_snapshot() {
    let mut single = crate::SingleTable::<u32, u64>::new("sum", all_groups(), max());
    for key in 0..500u32 {
        *single.table_mut().get_or_insert_with(KeyHash::of(&key), &key, || 0) += u64::from(key);
    }
    let (states, snapshot) = single.snapshot();
    single.table_mut().insert(KeyHash::of(&7u32), &7, 0);
    while single.pack_some() {}
    let key_type = single.key_type().to_owned();
    let saved =
        Saved { segment: encode(all_groups(), snapshot), groups: all_groups(), states, key_type };
    let mut count = 0;
    for range in ranges(3) {
        let mut part = crate::SingleTable::<u32, u64>::new("sum", range, max());
        assert!(part.restore(&[saved.source(range)]).unwrap().is_empty());
        assert!(part.table().iter().all(|(key, sum)| u64::from(*key) == *sum));
        count += part.table().len();
    }
    assert_eq!(count, 500);
}

#[test]
fn what_has_expired_is_neither_encoded_nor_restored() {
    let ttl = Some(StateTtl::new(std::time::Duration::from_millis(10)));
    let clock = Arc::new(ManualClock::default());
    let declare = || {
        let mut backend = KeyedBackend::<u8>::new(all_groups(), max(), clock.clone());
        let value = backend.value_state::<char>("value", ttl).unwrap();
        let list = backend.list_state::<char>("list", ttl).unwrap();
        (backend, value, list)
    };
    let entries = |saved: &Saved| {
        let source = saved.source(all_groups());
        let mut blocks = source.blocks.open();
        let next = || blocks.next_block().expect("it is in memory").map(|block| block.entries);
        std::iter::from_fn(next).sum::<u64>()
    };
    let (mut backend, mut value, mut list) = declare();
    backend.set_current_key(1);
    value.set('a');
    list.add('a');
    clock.set_wall(Timestamp(5));
    backend.update_now();
    list.add('b');
    backend.set_current_key(2);
    value.set('b');
    let early = Saved::of(&mut backend);
    assert_eq!(entries(&early), 3);
    clock.set_wall(Timestamp(12));
    assert_eq!(entries(&Saved::of(&mut backend)), 2);

    let (mut restored, value, list) = declare();
    restored.restore(&[early.source(all_groups())]).unwrap();
    restored.set_current_key(1);
    assert_eq!((value.get(), list.get()), (None, vec!['b']));
    assert_eq!(entries(&Saved::of(&mut restored)), 2);
    clock.set_wall(Timestamp(15));
    assert_eq!(entries(&Saved::of(&mut restored)), 0);
}
