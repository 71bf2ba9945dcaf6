//! How often each worker's turn comes.

use herder_core::rotation::Weight;

use crate::cluster::error::ClusterError;
use crate::cluster::settings::{Dispatch, wrong};

/// The weights of the slots, as far as they were given.
///
/// # Errors
/// When nobody gives turns, or one is none.
pub(super) fn checked(weights: &[u8], dispatch: Dispatch) -> Result<Vec<Weight>, ClusterError> {
    if !weights.is_empty() && dispatch != Dispatch::Kernel {
        return Err(wrong(
            "weights",
            "only a program in the kernel gives turns by weight; it needs Dispatch::Kernel",
        ));
    }
    let weights = weights.iter().map(|weight| Weight::try_from(*weight));
    let weights: Result<Vec<Weight>, String> = weights.collect();
    weights.map_err(|why| wrong("weights", why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_for_turns_alone() {
        let weight = |it| Weight::new(it).expect("1 to 16");
        let checked = |weights, dispatch| checked(weights, dispatch).map_err(|it| it.to_string());
        let expected = Ok(vec![weight(3), Weight::ONE]);
        assert_eq!(checked(&[3, 1], Dispatch::Kernel), expected);
        assert_eq!(checked(&[], Dispatch::Pass), Ok(Vec::new()));
        let refused = checked(&[2], Dispatch::Pass).expect_err("nobody gives turns");
        assert!(
            refused.contains("Cluster::weights: only a program"),
            "{refused}"
        );
        let none = checked(&[17], Dispatch::Kernel).expect_err("too much");
        assert!(none.contains("use 1 to 16"), "{none}");
    }
}
