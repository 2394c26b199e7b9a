//! A job whose user code stands still for as long as a file is there: it uses a processor and hears
//! nothing. Arguments: the file, and where the numbers go.

use std::{path::PathBuf, process::ExitCode};

use tidegate::{files, generator::Generator, prelude::*};

fn main() -> ExitCode {
    let arguments = Job::own_arguments();
    let [file, output] = arguments.as_slice() else {
        eprintln!("error: give the file that stops the job, and where its results go");
        return ExitCode::FAILURE;
    };
    let (file, output) = (PathBuf::from(file), output.clone());
    Job::new("stuck").run(move |env| {
        let file = file.clone();
        env.source("numbers", Generator::new(None, |number| number).rate(1000))
            .map(move |number: u64| {
                while file.exists() {
                    std::hint::spin_loop();
                }
                Ok(number)
            })
            .sink("out", files::json_lines_sink(&output));
        Ok(())
    })
}
