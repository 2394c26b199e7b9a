//! A job that stands still where a test wants it to. Arguments: a folder of switches, and where its
//! numbers go. While a file `starting` lies among the switches its plan does not get done; while
//! `hang` lies there its user code uses a processor and hears nothing. It makes a file `building` when
//! it begins with its plan.

use std::{fs, path::PathBuf, process::ExitCode, thread::sleep, time::Duration};

use tidegate::{files, generator::Generator, prelude::*};

fn main() -> ExitCode {
    let arguments = Job::own_arguments();
    let [switches, output] = arguments.as_slice() else {
        eprintln!("error: give the folder of the switches, and where results go");
        return ExitCode::FAILURE;
    };
    let (switches, output) = (PathBuf::from(switches), output.clone());
    Job::new("stuck").run(move |env| {
        fs::write(switches.join("building"), "")?;
        let (starting, hang) = (switches.join("starting"), switches.join("hang"));
        while starting.exists() {
            sleep(Duration::from_millis(5));
        }
        env.source("numbers", Generator::new(None, |number| number).rate(1000))
            .map(move |number: u64| {
                while hang.exists() {
                    std::hint::spin_loop();
                }
                Ok(number)
            })
            .sink("out", files::json_lines_sink(&output));
        Ok(())
    })
}
