//! Where a job's closure begins: sources and arguments.

use std::{cell::Cell, panic::Location, rc::Rc, sync::Arc};

use tidegate_connectors::generator::Generator;
use tidegate_core::{
    BatchType, Data, Node, NodeKind, RestoredState, Source,
    plan::SharedPlan,
    source::{compare_source, declare_source, source_operator},
};
use tidegate_types::options::JobOptions;

use crate::stream::Stream;

/// What a job's closure is handed: it makes sources, and knows the job's arguments.
///
/// The closure runs on every worker, and once before the start to check the plan; it must build
/// the same streams each time.
#[derive(Clone)]
pub struct Env {
    plan: SharedPlan,
    arguments: Arc<[String]>,
    options: Arc<JobOptions>,
}

impl Env {
    pub(crate) fn new(
        plan: &SharedPlan,
        arguments: Arc<[String]>,
        options: Arc<JobOptions>,
    ) -> Self {
        Self { plan: Rc::clone(plan), arguments, options }
    }

    /// The arguments that are the job's own: all that Tidegate does not know.
    #[must_use]
    pub fn args(&self) -> &[String] {
        &self.arguments
    }

    /// What was configured.
    #[must_use]
    pub fn options(&self) -> &JobOptions {
        &self.options
    }

    /// A stream of what `source` reads. Its positions are found again by `uid`.
    #[track_caller]
    pub fn source<S: Source>(&self, uid: &str, source: S) -> Stream<S::Item> {
        // Either the operator is made, or the source is only compared.
        let source = Rc::new(Cell::new(Some(source)));
        let to_compare = Rc::clone(&source);
        let compare = move |restored: &RestoredState| match to_compare.take() {
            Some(source) => compare_source(&source, restored),
            None => Err("the operator has been made already".into()),
        };
        let make = move |context| {
            let source = source.take().ok_or("the source has been compared already")?;
            source_operator(source, context)
        };
        let node = self.plan.borrow_mut().add(Node {
            name: "source".to_owned(),
            uid: Some(uid.into()),
            place: Some(Location::caller()),
            keyed: false,
            commits: false,
            state: Some(Box::new(declare_source::<S>)),
            inputs: Vec::new(),
            output: Some(BatchType::of::<S::Item>()),
            compare: Some(Box::new(compare)),
            kind: NodeKind::Source(Box::new(make)),
        });
        Stream::new(&self.plan, node, self.options.watermark_interval)
    }

    /// A stream of these records, which must be the same each time. At parallelism 1 they come in
    /// their order.
    ///
    /// ```
    /// use tidegate::{collect::Collector, prelude::*};
    ///
    /// let counts = Collector::default();
    /// let sink = counts.clone();
    /// Job::new("letters").try_run(["--parallelism", "1"], move |env| {
    ///     env.from_collection("letters", vec!['a', 'b', 'a'])
    ///         .key_by(|letter: &char| *letter)
    ///         .aggregate("count", Count)
    ///         .sink("counts", sink.exactly_once_sink());
    ///     Ok(())
    /// })?;
    /// assert_eq!(counts.take(), [('a', 1), ('b', 1), ('a', 2)]);
    /// # Ok::<(), JobError>(())
    /// ```
    #[track_caller]
    pub fn from_collection<T: Data>(&self, uid: &str, records: Vec<T>) -> Stream<T> {
        let count = Some(records.len() as u64);
        let records = Rc::<[T]>::from(records);
        // The generator asks for indices below the count only.
        self.source(uid, Generator::new(count, move |index| records[index as usize].clone()))
    }
}
