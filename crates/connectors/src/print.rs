//! Prints records as lines on standard output or standard error, at least once.
//!
//! With several subtasks each line begins with its subtask's number from 1, as in Flink: `2> …`.

use std::{
    fmt::{Debug, Display, Write as _},
    io::{self, Write},
    marker::PhantomData,
    sync::Arc,
};

use tidegate_core::{Batch, Data, Readiness, Sink, SinkContext, SinkWriter};
use tidegate_types::{ErrorKind, UserResult};

use crate::background::Background;

/// How much is gathered before it goes out, in bytes; a barrier sends out less.
const CHUNK: usize = 8 * 1024;

/// Prints records on standard output as their `Display` has them.
#[must_use]
pub fn print<T: Data + Display>() -> Print<T> {
    Print::new(Target::Stdout, |record, line| write!(line, "{record}"))
}

/// Prints records on standard output as their `Debug` has them.
#[must_use]
pub fn print_debug<T: Data + Debug>() -> Print<T> {
    Print::new(Target::Stdout, |record, line| write!(line, "{record:?}"))
}

/// Where lines go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    #[default]
    Stdout,
    /// Standard error.
    Stderr,
}

/// Appends a record's text, without a line end.
type Format<T> = fn(&T, &mut String) -> std::fmt::Result;

/// Prints records as lines.
pub struct Print<T> {
    target: Target,
    format: Format<T>,
}

impl<T> Clone for Print<T> {
    fn clone(&self) -> Self {
        Self { target: self.target, format: self.format }
    }
}

impl<T: Data> Print<T> {
    /// Prints to `target` what `format` appends for each record.
    #[must_use]
    pub fn new(target: Target, format: fn(&T, &mut String) -> std::fmt::Result) -> Self {
        Self { target, format }
    }

    /// Prints on standard error.
    #[must_use]
    pub fn to_stderr(mut self) -> Self {
        self.target = Target::Stderr;
        self
    }
}

/// The lines could not be written.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrintError {
    /// The operating system refused.
    #[error("cannot write to {target:?}")]
    Io {
        /// Where to.
        target: Target,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
    /// The thread that writes is gone.
    #[error("the thread that writes to {0:?} has panicked")]
    Panicked(Target),
}

impl PrintError {
    /// What the one who sees it should do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { .. } => ErrorKind::Unavailable,
            Self::Panicked(_) => ErrorKind::Internal,
        }
    }
}

impl<T: Data> Sink for Print<T> {
    type Item = T;
    type Writer = PrintWriter<T>;

    fn writer(&self, context: SinkContext) -> UserResult<PrintWriter<T>> {
        let target = self.target;
        let several = context.parallelism.get() > 1;
        let work = move |text: String| {
            put(target, &text).map_err(|source| PrintError::Io { target, source: Arc::new(source) })
        };
        let panicked = PrintError::Panicked(target);
        Ok(PrintWriter {
            prefix: if several { format!("{}> ", context.subtask.next()) } else { String::new() },
            format: self.format,
            lines: String::new(),
            thread: Background::start(&context.tokio, context.waker, panicked, work),
            item: PhantomData,
        })
    }
}

fn put(target: Target, text: &str) -> io::Result<()> {
    match target {
        Target::Stdout => {
            let mut stdout = io::stdout().lock();
            stdout.write_all(text.as_bytes())?;
            stdout.flush()
        }
        Target::Stderr => io::stderr().lock().write_all(text.as_bytes()),
    }
}

/// Prints the records of one subtask.
pub struct PrintWriter<T> {
    prefix: String,
    format: Format<T>,
    lines: String,
    thread: Background<String, PrintError>,
    item: PhantomData<fn(T)>,
}

impl<T> PrintWriter<T> {
    fn send_lines(&mut self) {
        if !self.lines.is_empty() {
            let lines = std::mem::take(&mut self.lines);
            self.thread.send(lines.len(), lines);
        }
    }
}

impl<T: Data> SinkWriter for PrintWriter<T> {
    type Item = T;

    fn write(&mut self, batch: &mut Batch<T>) -> UserResult<Readiness> {
        if self.thread.poll_room()? != Readiness::Ready {
            return Ok(Readiness::Pending);
        }
        for record in std::mem::take(batch).records {
            self.lines.push_str(&self.prefix);
            (self.format)(&record, &mut self.lines)?;
            self.lines.push('\n');
            if self.lines.len() >= CHUNK {
                self.send_lines();
            }
        }
        self.send_lines();
        Ok(Readiness::Ready)
    }

    /// Ready when everything is written: the next checkpoint says so.
    fn flush(&mut self) -> UserResult<Readiness> {
        self.send_lines();
        Ok(self.thread.poll_done()?)
    }
}
