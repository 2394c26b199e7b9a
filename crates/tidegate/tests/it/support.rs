//! What the tests share.

pub(crate) mod counting;
pub(crate) mod fed;
pub(crate) mod wrapped;

/// A job of the test's own name: of one name several would be runs of one job, which take each other
/// over when they run at once.
pub(crate) fn job_of_test() -> tidegate::Job {
    tidegate::Job::new(std::thread::current().name().unwrap_or("test"))
}
