//! One short round, with real processes.

use herder_bench::contest::{Contest, Field};
use herder_bench::part::Part;
use herder_bench::report;
use herder_bench::variant::{Dispatch, League, Variant};
use std::time::Duration;

#[test]
fn a_short_round_of_two_variants_is_measured_and_judged() {
    let variants = [
        Variant::BareShared,
        Variant::HerderNative(Dispatch::Pass),
        // Of another league.
        Variant::BareEcho,
    ];
    let field = Field::of(variants);
    assert_eq!(field.left_out().collect::<Vec<_>>(), []);
    let taking: Vec<_> = field.taking_part().collect();
    for part in [Part::Saturated, Part::Skewed, Part::KeepAlive] {
        let time = Duration::from_millis(100);
        let contest = Contest::hold(&taking, part, League::Native, 1, time);
        assert_eq!(contest.variants().collect::<Vec<_>>(), variants[..2]);
        assert!(
            contest.is_clean() && contest.left_out.is_empty(),
            "{contest:?}"
        );
        for variant in contest.variants() {
            let sample = &contest.samples[&variant][0];
            assert!(
                sample.rate > 0.0 && sample.histogram.count() > 0,
                "{variant}: {sample:?}"
            );
            assert!(
                sample.workers > 0.0 && sample.client > 0.0,
                "{variant}: {sample:?}"
            );
            assert!(
                sample.p50 <= sample.p99 && sample.p99 <= sample.max,
                "{variant}: {sample:?}"
            );
        }
        let text = report::table(&contest);
        assert!(text.contains("\nno request failed\n"), "{text}");
    }
}
