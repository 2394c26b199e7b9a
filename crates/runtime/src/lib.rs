//! Runs Tidegate jobs on Timely Dataflow: exchange, flow control, operators, attempts, snapshot path.
