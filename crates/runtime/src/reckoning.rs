//! Tells each process of an attempt what the others have seen of its lanes (see [`crate::in_flight`]).
//!
//! Two operators of the dataflow beside those of the job: in each process one of them, on its first
//! worker, takes out every [`PERIOD`] what the process has counted of others' lanes and sends it to the
//! first worker of the process that each lane is of, by the connections that records take.

use std::{sync::Arc, time::Duration};

use timely::{
    dataflow::{
        Scope,
        channels::pact::Exchange,
        operators::{CapabilitySet, generic::builder_rc::OperatorBuilder},
    },
    progress::operate::FrontierInterest,
};

use crate::in_flight::{Account, InFlight};

/// How often processes tell each other.
const PERIOD: Duration = Duration::from_millis(10);

/// The worker it is for, the account's number, and the difference.
type Told = (u64, u32, i64);

/// Adds the operators, if there are several processes.
pub(crate) fn build(scope: Scope<'_, ()>, in_flight: &Arc<InFlight>) {
    let seats = in_flight.seats();
    if seats.count == seats.peers {
        return;
    }
    let tells = scope.worker().index() == seats.first;
    let mut teller = OperatorBuilder::new("tell what is in flight".to_owned(), scope);
    let activator = scope.worker().activator_for(teller.operator_info().address);
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
                activator.activate_after(PERIOD);
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
}
