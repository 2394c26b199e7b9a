//! How often each word occurs in text files: `wordcount -- --input 'books/*.txt'`.
//!
//! ```text
//!   lines --> words --> key by word --> count --> counts, at the end of the input
//! ```

use std::{path::Path, process::ExitCode};

use tidegate::{files, prelude::*};
use tidegate_examples::{argument, data, job, output_folder, prepare, rate, read_results};

const NAMES: [&str; 3] = ["--input", "--rate", "--out"];
const HELP: &str = "  --input PATH  text files: a file, a folder or a pattern
  --rate N      lines per second, to watch it
  --out DIR     where results go (out/wordcount)";

/// Counts a word, and tells the count when the input has ended.
struct CountWord {
    count: ValueState<u64>,
}

impl KeyedProcess<String, String> for CountWord {
    type Out = (String, u64);

    fn on_record(
        &mut self,
        _word: String,
        context: &mut ProcessContext<'_, String, (String, u64)>,
    ) -> tidegate::Result<()> {
        context.set_event_timer(EventTime::MAX);
        self.count.modify_or(|| 0, |count| *count += 1);
        Ok(())
    }

    fn on_timer(
        &mut self,
        _timer: Timer,
        context: &mut ProcessContext<'_, String, (String, u64)>,
    ) -> tidegate::Result<()> {
        if let Some(count) = self.count.take() {
            context.emit((context.key().clone(), count));
        }
        Ok(())
    }
}

fn words(line: String) -> tidegate::Result<Vec<String>> {
    let words = line.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    Ok(words.map(str::to_lowercase).collect())
}

fn build(env: &Env, output: &Path) -> tidegate::Result<()> {
    let input = argument(env.args(), "--input").unwrap_or_else(|| data("*.txt"));
    let mut source = files::text(input);
    if let Some(rate) = rate(env.args())? {
        source = source.rate(rate);
    }
    env.source("lines", source)
        .flat_map(words)
        .key_by(|word: &String| word.clone())
        .process("count", |states| Ok(CountWord { count: states.value("count")? }))
        .sink("counts", files::json_lines_sink(output.join("counts")));
    Ok(())
}

fn main() -> ExitCode {
    let output = output_folder(&Job::own_arguments(), "wordcount");
    let job = job("wordcount", &output).help(HELP);
    if let Err(error) = prepare(&job, &NAMES, &output, &["counts"]) {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    let results = output.join("counts");
    job.run_and(move |env| build(env, &output), |_| print_table(&results))
}

/// The ten most frequent words, and where all of them lie.
#[expect(clippy::print_stdout, reason = "the table is what the example is for")]
fn print_table(results: &Path) -> tidegate::Result<()> {
    let mut counts = read_results::<(String, u64)>(results)?;
    counts.sort_by(|(a, n), (b, m)| m.cmp(n).then_with(|| a.cmp(b)));
    for (word, count) in counts.iter().take(10) {
        println!("{count:>7}  {word}");
    }
    println!("{} words; all of them in {}", counts.len(), results.display());
    Ok(())
}
