//! What authors of operators, sources and sinks see: the traits and the logical plan.
//!
//! A connector needs this crate and nothing below it: it never sees the runtime, and builds
//! without Timely.
//!
//! | module | what it holds |
//! |---|---|
//! | [`batch`] | records on their way, typed and with the type erased |
//! | [`operator`] | one subtask of an operator, as the runtime drives it |
//! | [`duty`] | what an operator brings to its end whatever becomes of a snapshot |
//! | [`context`] | what a subtask is told when it starts |
//! | [`source`] | how to write a source: splits, a reader that never blocks, positions |
//! | [`sink`] | how to write a sink: plain, or in two phases for exactly once |
//! | [`plan`] | the logical plan that a job's closure builds |
//! | [`router`] | which subtask a record goes to |
//! | [`selector`] | key selectors, and what is told when one fails |
//! | [`user_code`] | calls of user code, and what is told when it fails |

#![cfg_attr(
    test,
    expect(clippy::disallowed_methods, reason = "tests wait, and look how long that takes")
)]

pub mod batch;
pub mod context;
pub mod duty;
mod fields;
pub mod operator;
pub mod plan;
pub mod router;
pub mod selector;
pub mod sink;
pub mod source;
pub mod user_code;

pub use batch::{AnyBatch, Batch, BatchType, Data, ErasedBatch};
pub use context::{OperatorContext, RestoredKeyed, RestoredList, RestoredState};
pub use duty::{Duties, Duty};
pub use fields::{RecordField, record_fields};
pub use operator::{
    Operator, OperatorSnapshot, Output, PendingLists, Progress, Readiness, SourceOperator,
    SourceProgress, SourceStatus, Wakeup,
};
pub use plan::{Node, NodeId, NodeKind, Partitioning, Plan, PlanError};
pub use sink::{CommitOutcome, Sink, SinkContext, SinkWriter, TwoPhaseSink, TwoPhaseWriter};
pub use source::{ReaderContext, ReaderStatus, Source, SourceReader, Split};
pub use tidegate_types::{Barrier, BarrierKind};
