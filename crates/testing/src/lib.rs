//! What Tidegate's tests share: an oracle for the example `flights`, processes that tests start and
//! kill, folders that jobs write.

#![expect(clippy::missing_panics_doc, reason = "a panic is how a test fails")]

pub mod flights;
pub mod folders;
pub mod process;
pub mod proxy;

use std::time::{Duration, Instant};

use rand::{SeedableRng, rngs::StdRng};

/// The longest that any test waits for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again and again until there is an answer.
///
/// # Panics
///
/// When there is none for a long time; `what` says what was waited for.
pub fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Chance, by a seed that is printed and that `TIDEGATE_TEST_SEED` can set.
pub fn seeded() -> StdRng {
    let given = std::env::var("TIDEGATE_TEST_SEED").ok();
    let seed = given.map_or_else(rand::random, |text| text.parse().expect("a seed is a number"));
    eprintln!("TIDEGATE_TEST_SEED={seed}");
    StdRng::seed_from_u64(seed)
}
