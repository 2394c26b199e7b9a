//! Randomness: numbers that tell runs, attempts and savepoints apart, and scatter retries.

/// Gives random numbers. An argument everywhere, so that a simulation can decide them.
pub trait Random: Send + Sync {
    /// Any number, each as likely as the others. What the system gives can't be told beforehand.
    fn number(&self) -> u64;

    /// A number from 0 to 1, without 1.
    fn fraction(&self) -> f64 {
        // As many bits as an `f64` holds exactly.
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The generator of the operating system's entropy that every thread has.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn number(&self) -> u64 {
        rand::random()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Always(u64);

    impl Random for Always {
        fn number(&self) -> u64 {
            self.0
        }
    }

    #[test]
    fn a_fraction_is_never_one() {
        assert_eq!(Always(0).fraction(), 0.0);
        assert_eq!(Always(1 << 63).fraction(), 0.5);
        assert!(Always(u64::MAX).fraction() < 1.0);
    }

    #[test]
    fn the_system_does_not_repeat_itself() {
        assert_ne!(SystemRandom.number(), SystemRandom.number());
    }
}
