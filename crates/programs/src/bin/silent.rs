//! A job in which much goes wrong without an error: a stream that nobody takes, event timers where
//! there are no event times, a function that waits.

use std::{process::ExitCode, thread::sleep, time::Duration};

use tidegate::{discard::discard, prelude::*};

/// How long its function waits for each batch, which is too long.
const WAIT: Duration = Duration::from_millis(2_100);

struct Reminders;

impl KeyedProcess<u64, u64> for Reminders {
    type Out = u64;

    fn on_record(
        &mut self,
        number: u64,
        context: &mut ProcessContext<'_, u64, u64>,
    ) -> tidegate::Result<()> {
        context.set_event_timer(EventTime(number as i64));
        Ok(())
    }
}

fn main() -> ExitCode {
    Job::new("silent").run(|env| {
        let numbers = env.from_collection("numbers", (0..100).collect::<Vec<u64>>());
        numbers.map(|number| Ok(number + 1));
        numbers
            .key_by(|number: &u64| number % 7)
            .process("reminders", |_| Ok(Reminders))
            .sink("due", discard());
        numbers
            .inspect(|number| {
                if *number == 0 {
                    sleep(WAIT);
                }
                Ok(())
            })
            .sink("slow", discard());
        Ok(())
    })
}
