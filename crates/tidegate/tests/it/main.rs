//! The engine as a whole: real jobs, in this process and in processes that get killed.

mod aside;
mod bad_input;
mod bootstrap;
mod checkpoints;
mod contracts;
mod corpus;
mod damage;
mod event_time;
mod evolution;
mod kill;
mod late;
mod moved_output;
mod overlap;
mod panics;
mod prepared_output;
mod processes;
mod quiet;
mod retention;
mod runs;
mod savepoints;
mod signals;
mod state;
mod support;
mod unfit;
mod upgrade;
