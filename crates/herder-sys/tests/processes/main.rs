//! The process half of the crate against the real kernel.
//!
//! Most of what is tested needs a process with one thread, or children that nobody else reaps.
//! The usual test harness starts threads, so this target has a `main` of its own: with a role in
//! the environment it is a child that does one thing, otherwise it runs the tests one by one.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "all of this is a test, which clippy cannot see without the usual harness"
)]

mod descriptors;
mod groups;
mod harness;
mod identity;
mod launch;
mod pidfds;
mod scene;
mod signals;
mod titles;

use harness::Case;
use scene::Role;

/// What a child of a test can be.
const ROLES: &[(&str, Role)] = &[
    ("adopt-orphans", groups::adopt_orphans),
    ("become-a-shell", launch::become_a_shell),
    ("become-nobody", identity::become_nobody),
    ("close-the-rest", descriptors::close_the_rest),
    ("count-exits", groups::count_exits),
    ("detach", groups::detach),
    ("detached", groups::detached),
    ("exec-status", signals::exec_status),
    ("hand-down-signals", signals::hand_down),
    ("keep-place", descriptors::keep_place),
    ("launch-as-nobody", identity::launch_as_nobody),
    ("no-descriptor-left", launch::no_descriptor_left),
    ("receive-signals", signals::receive),
    ("replace-environment", identity::replace_environment),
    ("retitle", titles::retitle),
    ("retitle-late", titles::retitle_late),
    ("settle", identity::settle),
    ("show-descriptors", descriptors::show),
    ("show-self", launch::show_self),
    ("swap", descriptors::swap),
];

const CASES: &[Case] = &[
    (
        "r31_a_process_goes_on_as_another_program",
        launch::replaced_process,
    ),
    (
        "descriptors_change_places",
        descriptors::descriptors_change_places,
    ),
    (
        "a_descriptor_already_in_place_is_handed_on",
        descriptors::already_in_place,
    ),
    (
        "r53_exactly_the_kept_descriptors_are_left",
        descriptors::r53_exactly_the_kept,
    ),
    (
        "r53_a_launched_child_has_three_descriptors",
        descriptors::r53_three_descriptors,
    ),
    (
        "r14_a_group_dies_with_its_grandchild",
        groups::r14_group_dies,
    ),
    (
        "r14_a_cgroup_catches_who_left_the_group",
        groups::r14_cgroup_catches,
    ),
    ("r14_a_child_is_born_in_its_cgroup", groups::r14_born_inside),
    (
        "remove_tree_refuses_what_is_not_ours",
        groups::remove_tree_refuses,
    ),
    ("r14_orphans_are_adopted_and_reaped", groups::r14_orphans),
    (
        "statuses_survive_an_ignored_sigchld",
        groups::statuses_survive,
    ),
    ("nobody_stays_nobody", identity::nobody_stays_nobody),
    (
        "a_hidden_process_of_nobody_still_launches",
        identity::hidden_nobody_launches,
    ),
    (
        "a_child_settles_before_it_executes",
        identity::settles_before_it_executes,
    ),
    (
        "an_environment_is_replaced_with_one_thread_only",
        identity::environment_is_replaced,
    ),
    (
        "a_replaced_program_is_still_the_one_opened",
        launch::replaced_program,
    ),
    (
        "the_environment_is_laid_over_the_inherited_one",
        launch::environment_is_laid_over,
    ),
    (
        "r16_a_failed_launch_leaves_nothing",
        launch::r16_failed_launch,
    ),
    (
        "r16_without_descriptors_no_child_is_left",
        launch::r16_without_descriptors,
    ),
    ("a_pidfd_tells_how_a_child_ended", pidfds::how_a_child_ended),
    (
        "r15_simultaneous_deaths_are_all_seen",
        pidfds::r15_simultaneous_deaths,
    ),
    (
        "a_blocked_mask_and_ignored_signals_end_at_reset",
        signals::end_at_reset,
    ),
    ("signals_arrive_as_events", signals::arrive_as_events),
    (
        "a_title_has_room_in_a_replaced_environment",
        titles::room_for_a_late_title,
    ),
    (
        "a_title_is_seen_and_costs_nothing",
        titles::seen_and_costs_nothing,
    ),
];

fn main() -> std::process::ExitCode {
    scene::play_role(ROLES);
    // Whoever started the tests may have left descriptors open for us.
    herder_sys::apply::cloexec_from(3).expect("descriptors can be marked");
    harness::run(CASES)
}
