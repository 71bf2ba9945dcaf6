//! What all simulations share: dice, traces, tallies, and rules that are found broken.

mod failure;
pub(crate) mod rng;
pub(crate) mod trace;
pub(crate) mod violation;

pub(crate) use failure::{Failure, contain, seeds};

/// What a run went through, to show that it was worth something.
pub(crate) trait Experience: Copy + Default + std::fmt::Debug + std::ops::AddAssign {
    fn steps(&self) -> u64;

    /// Whether something that should happen never did.
    fn is_tame(&self) -> bool;
}

/// A tally of what should happen.
macro_rules! tally {
    ($($name:ident),+ $(,)?) => {
        /// What a run went through, to show that it was worth something.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        pub(crate) struct Tally {
            pub(crate) seeds: u64,
            pub(crate) steps: u64,
            $(pub(crate) $name: u64,)+
        }

        impl std::ops::AddAssign for Tally {
            fn add_assign(&mut self, other: Tally) {
                self.seeds += other.seeds;
                self.steps += other.steps;
                $(self.$name += other.$name;)+
            }
        }

        impl crate::frame::Experience for Tally {
            fn steps(&self) -> u64 {
                self.steps
            }

            fn is_tame(&self) -> bool {
                [$(self.$name),+].contains(&0)
            }
        }
    };
}
pub(crate) use tally;
