//! Says so when something takes long that an attempt's end waits for.

use std::time::Duration;

/// How long an operator may take to prepare or to commit before that is said.
pub(super) const LONG: Duration = Duration::from_secs(10);

/// Waits for `work`; if it is not done after that time, calls `tell`, once, and waits on.
pub(super) async fn telling_after<T>(
    time: Duration,
    work: impl Future<Output = T>,
    tell: impl FnOnce(),
) -> T {
    tokio::pin!(work);
    if let Ok(done) = tokio::time::timeout(time, &mut work).await {
        return done;
    }
    tell();
    work.await
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_takes_long_is_told_of_once_and_waited_for() {
        let (done, work) = oneshot::channel();
        // It goes on only because somebody was told.
        let tell = || done.send(7).expect("it is waited for");
        let result = telling_after(Duration::from_millis(5), work, tell).await;
        assert_eq!(result, Ok(7));
        let at_once = async { 8 };
        assert_eq!(telling_after(LONG, at_once, || panic!("it was done")).await, 8);
    }
}
