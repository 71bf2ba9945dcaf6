//! Runs the committed corpus of the fuzz targets through the targets' own properties, with the
//! stable compiler and without a fuzzer.

mod seeds;

#[expect(
    unreachable_pub,
    reason = "the file is a public module of the fuzz targets' crate"
)]
#[path = "../../../fuzz/src/properties/mod.rs"]
mod properties;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

type Property = fn(&[u8]);

const TARGETS: [(&str, Property); 12] = [
    ("conns_records", properties::conns_records),
    ("control_frames", properties::control_frames),
    ("gateway_frames", properties::gateway_frames),
    ("keeper_frames", properties::keeper_frames),
    ("lane_receipts", properties::lane_receipts),
    ("launch_plan", properties::launch_plan),
    ("launch_report", properties::launch_report),
    ("link_frames", properties::link_frames),
    ("node_lines", properties::node_lines),
    ("notify_datagram", properties::notify_datagram),
    ("proxy_headers", properties::proxy_headers),
    ("rpc_frames", properties::rpc_frames),
];

#[test]
fn r18_no_committed_input_breaks_a_decoder() {
    for (target, property) in TARGETS {
        let files = files(&corpus().join(target));
        assert!(!files.is_empty(), "{target} has no corpus");
        for file in files {
            let input = fs::read(&file).expect("a corpus file can be read");
            run(property, &file.display().to_string(), &input);
        }
    }
}

/// Each seed, cut at, and with each bit turned of, up to `PLACES` of its bytes: the cheap part of
/// what a fuzzer does, the same in every run.
#[test]
fn r18_no_cut_or_damaged_seed_breaks_a_decoder() {
    const PLACES: usize = 64;
    for seed in seeds::all() {
        let property = property(seed.target);
        let length = seed.bytes.len();
        let step = length.div_ceil(PLACES).max(1);
        for index in (0..length).step_by(step) {
            run(
                property,
                &format!("{seed} cut at {index}"),
                &seed.bytes[..index],
            );
            for bit in 0..8 {
                let mut damaged = seed.bytes.clone();
                damaged[index] ^= 1 << bit;
                run(
                    property,
                    &format!("{seed} with bit {bit} of byte {index} turned"),
                    &damaged,
                );
            }
        }
    }
}

/// The corpus is what the generator writes, and what a fuzzer has found since. After a change of
/// a format, `HERDER_WRITE_CORPUS=1` writes it anew instead.
#[test]
fn every_seed_is_committed_as_it_is_generated() {
    let write = std::env::var_os("HERDER_WRITE_CORPUS").is_some();
    let mut names = BTreeSet::new();
    for seed in seeds::all() {
        let file = corpus().join(seed.to_string());
        assert!(names.insert(seed.to_string()), "{seed} is generated twice");
        if write {
            fs::create_dir_all(file.parent().expect("a seed is in a directory"))
                .expect("the corpus directory can be made");
            fs::write(&file, &seed.bytes).expect("a seed can be written");
        }
        assert!(
            fs::read(&file).unwrap_or_default() == seed.bytes,
            "fuzz/corpus/{seed} is not what is generated; \
             run `HERDER_WRITE_CORPUS=1 cargo test -p herder-wire --test corpus`"
        );
    }
}

fn run(property: Property, name: &str, input: &[u8]) {
    // The hook has printed what was violated; this adds on what.
    std::panic::catch_unwind(|| property(input))
        .unwrap_or_else(|_| panic!("{name}: {:?}", &input[..input.len().min(256)]));
}

fn property(target: &str) -> Property {
    let found = TARGETS.into_iter().find(|(name, _)| *name == target);
    found.unwrap_or_else(|| panic!("{target} is no target")).1
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus")
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap_or_else(|e| panic!("{directory:?}: {e}"));
    entries
        .map(|entry| entry.expect("a directory can be listed").path())
        .collect()
}
