//! Tells each process of an attempt what the others have seen of its lanes (see [`crate::in_flight`]).
//!
//! Two operators of the dataflow beside those of the job: in each process one of them, on its first
//! worker, takes out every [`PERIOD`] what the process has counted of others' lanes and sends it to the
//! first worker of the process that each lane is of, by the connections that records take.

use std::{sync::Arc, time::Duration};

use tidegate_types::Clock;
use timely::{
    dataflow::{
        Scope,
        channels::pact::Exchange,
        operators::{CapabilitySet, generic::builder_rc::OperatorBuilder},
    },
    progress::operate::FrontierInterest,
};

use crate::{
    in_flight::{Account, InFlight},
    task::alarm::Alarm,
};

/// How often processes tell each other.
const PERIOD: Duration = Duration::from_millis(10);

/// The worker it is for, the account's number, and the difference.
type Told = (u64, u32, i64);

/// Adds the operators, if there are several processes; returns what gives the one that tells its turns.
pub(crate) fn build(
    scope: Scope<'_, ()>,
    in_flight: &Arc<InFlight>,
    clock: &Arc<dyn Clock>,
) -> Option<Alarm> {
    let seats = in_flight.seats();
    if seats.count == seats.peers {
        return None;
    }
    let tells = scope.worker().index() == seats.first;
    let mut teller = OperatorBuilder::new("tell what is in flight".to_owned(), scope);
    let alarm = Alarm::new(scope.worker().activator_for(teller.operator_info().address));
    let (again, clock) = (alarm.clone(), Arc::clone(clock));
    let (mut output, told) = teller.new_output::<Vec<Told>>();
    let counts = Arc::clone(in_flight);
    teller.build_reschedule(move |capabilities| {
        move |_frontiers| {
            // As every task's: see where they are installed.
            let _kept = &capabilities;
            if tells {
                let seen = counts.take_foreign();
                let seen = seen.map(|(worker, account, difference)| {
                    (worker as u64, account.number(), difference)
                });
                output.activate().give(&CapabilitySet::new(), &mut seen.collect::<Vec<_>>());
                again.set(PERIOD, clock.monotonic());
            }
            true
        }
    });
    let mut learner = OperatorBuilder::new("learn what is in flight".to_owned(), scope);
    let mut input = learner.new_input(told, Exchange::new(|(worker, ..): &Told| *worker));
    learner.set_notify_for(0, FrontierInterest::Never);
    let counts = Arc::clone(in_flight);
    learner.build_reschedule(move |_capabilities| {
        move |_frontiers| {
            input.for_each(|_no_claim, told| {
                for (_, account, difference) in told.drain(..) {
                    counts.learn(Account::numbered(account), difference);
                }
            });
            true
        }
    });
    Some(alarm)
}
