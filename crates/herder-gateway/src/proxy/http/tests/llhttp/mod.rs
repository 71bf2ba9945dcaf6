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
use std::rc::Rc;

use futures_util::StreamExt;
use futures_util::stream::iter;

use super::{Rig, play};
use judge::Court;
use node::Node;

/// How many requests are tried at a time.
const AT_ONCE: usize = 24;

/// How many requests something has happened to.
const MUTANTS: u64 = 6_000;

/// Has both read all of it, and returns the reasons of all differences.
fn differences(
    major: u8,
    cases: impl Iterator<Item = (String, Vec<u8>)>,
) -> BTreeSet<&'static str> {
    let node = Node::start(major);
    play(async {
        let rig = Rig::new(|_| {});
        rig.admit(1, node.worker);
        let court = Rc::new(Court {
            front: rig.address,
            direct: node.direct,
        });
        let judged = iter(cases).map(|(name, bytes)| {
            let court = Rc::clone(&court);
            async move { court.judge(&name, &bytes).await }
        });
        let judged: Vec<_> = judged.buffer_unordered(AT_ONCE).collect().await;
        let wrong: Vec<_> = judged.iter().filter_map(|it| it.as_ref().err()).collect();
        assert!(
            wrong.is_empty(),
            "{} differ:\n{}",
            wrong.len(),
            list(&wrong)
        );
        let strays = court.strays().await;
        assert_eq!(strays, "", "the worker has read what was no request");
        judged.into_iter().flatten().flatten().collect()
    })
}

/// The first of them.
fn list(wrong: &[&String]) -> String {
    let first: Vec<_> = wrong.iter().take(40).map(|it| it.as_str()).collect();
    first.join("\n")
}

fn systematic(major: u8) -> BTreeSet<&'static str> {
    let cases = cases::all().into_iter();
    differences(major, cases.map(|case| (case.idea.to_owned(), case.bytes)))
}

#[test]
fn requests_of_every_idea_are_read_as_llhttp_reads_them() {
    let (mut found, old) = (systematic(24), systematic(20));
    found.extend(old);
    let listed: BTreeSet<_> = reasons::all().collect();
    let unneeded: Vec<_> = listed.difference(&found).collect();
    assert!(
        unneeded.is_empty(),
        "no difference has these reasons: {unneeded:#?}"
    );
}

#[test]
fn mutated_requests_are_read_as_llhttp_reads_them() {
    let mutants = (0..MUTANTS).map(|seed| (format!("mutant {seed}"), mutants::mutant(seed)));
    differences(24, mutants);
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
