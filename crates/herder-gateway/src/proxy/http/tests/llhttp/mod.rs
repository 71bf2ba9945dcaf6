//! The front beside llhttp: the same bytes go to Node directly, and by the front to Node as its worker.
//!
//! Where the two differ the front may only be the stricter one, for a reason that [`reasons`] names. What it
//! passes on the worker has to read as Node itself reads what the client has written, apart from the lines that
//! are the front's own ([`meant`]); and nothing that the worker reads may be a request that the front has not
//! passed on as one.

mod cases;
mod judge;
mod meant;
mod mutants;
pub(super) mod node;
mod reasons;
mod verdict;

use std::collections::BTreeSet;
use std::ops::Range;

use futures_util::StreamExt;
use futures_util::stream::iter;

use super::{Rig, play};
use cases::Case;
use judge::Court;
use node::Node;

/// How many requests are tried at a time.
const AT_ONCE: usize = 24;

/// How many one front has to read.
const AT_MOST: usize = 500;

/// How many requests something has happened to, in each run of the tests, and in the long one.
const FEW: u64 = 2_000;
const MANY: u64 = 30_000;

/// A name, and bytes.
type Named = (String, Vec<u8>);

/// Has both read all of it, and returns the reasons of all differences.
fn differences(major: u8, cases: &[Named]) -> BTreeSet<&'static str> {
    let node = Node::start(major);
    let parts = cases.chunks(AT_MOST);
    parts.flat_map(|part| differences_in(&node, part)).collect()
}

fn differences_in(node: &Node, cases: &[Named]) -> BTreeSet<&'static str> {
    play(async {
        let rig = Rig::new(|_| {});
        rig.admit(1, node.worker);
        let court = &Court {
            front: rig.address,
            direct: node.direct,
        };
        let judged = iter(cases).map(|(name, bytes)| court.judge(name, bytes));
        let judged: Vec<_> = judged.buffer_unordered(AT_ONCE).collect().await;
        let wrong: Vec<_> = judged.iter().filter_map(|it| it.as_ref().err()).collect();
        let first: Vec<_> = wrong.iter().take(40).map(|it| it.as_str()).collect();
        assert!(
            wrong.is_empty(),
            "{} differ:\n{}",
            wrong.len(),
            first.join("\n")
        );
        let strays = court.strays().await;
        assert_eq!(strays, "", "the worker has read what was no request");
        judged.into_iter().flatten().flatten().collect()
    })
}

fn named(cases: Vec<Case>) -> Vec<Named> {
    let cases = cases.into_iter();
    cases
        .map(|case| (case.idea.to_owned(), case.bytes))
        .collect()
}

fn mutated(seeds: Range<u64>) -> Vec<Named> {
    seeds
        .map(|seed| (format!("mutant {seed}"), mutants::mutant(seed)))
        .collect()
}

#[test]
fn heads_of_every_idea_are_read_as_llhttp_reads_them() {
    differences(24, &named(cases::heads()));
}

#[test]
fn bodies_of_every_idea_are_read_as_llhttp_reads_them() {
    differences(24, &named(cases::bodies()));
}

#[test]
fn chunks_of_every_idea_are_read_as_llhttp_reads_them() {
    differences(24, &named(cases::chunks()));
}

#[test]
fn mutated_requests_are_read_as_llhttp_reads_them() {
    differences(24, &mutated(0..FEW));
}

#[test]
#[ignore = "another llhttp, and all of them once more: in the long set"]
fn each_difference_has_a_reason_and_each_reason_a_difference() {
    let cases = named(cases::all());
    let mut found = differences(20, &cases);
    found.extend(differences(24, &cases));
    let listed: BTreeSet<_> = reasons::all().collect();
    let unneeded: Vec<_> = listed.difference(&found).collect();
    assert!(
        unneeded.is_empty(),
        "no difference has these reasons: {unneeded:#?}"
    );
}

#[test]
#[ignore = "very many: in the long set"]
fn very_many_mutated_requests_are_read_as_llhttp_reads_them() {
    differences(20, &mutated(FEW..MANY));
    differences(24, &mutated(FEW..MANY));
}

#[test]
fn the_ideas_have_many_cases() {
    let cases = cases::all();
    let ideas: BTreeSet<_> = cases.iter().map(|case| case.idea).collect();
    assert!(cases.len() > 4_000, "{} cases", cases.len());
    assert!(ideas.len() > 40, "{ideas:?}");
    let different: BTreeSet<_> = cases.iter().map(|case| &case.bytes).collect();
    assert!(
        different.len() * 100 > cases.len() * 97,
        "they are not all the same"
    );
}
