//! The types of the Node package, and those that `herder sig --ts` writes.

use herder_e2e::interpreter::{Node, typescript};
use herder_e2e::scene::Scene;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Whether a program that uses both is right, and one that uses them wrongly is not, the compiler says:
/// the program marks what must be an error.
#[test]
fn the_package_and_what_is_written_for_a_library_fit_together() {
    let scene = Scene::new("srv_types");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (compiler, types) = typescript();
    let package = root.join("sdk/node");
    let project = json!({
        "compilerOptions": {
            "strict": true, "noEmit": true, "module": "nodenext", "target": "es2022",
            "types": ["node"], "typeRoots": [types],
            "paths": {
                "herder": [package.join("index.d.ts")],
                "herder/messenger": [package.join("messenger.d.ts")],
                "herder/cluster-dispatch": [package.join("cluster-dispatch.d.ts")],
            },
        },
        "files": ["types.ts"],
    });
    let here = scene.directory();
    let program = root.join("e2e/programs/node/types.ts");
    let recorded = root.join("crates/herder-cli/tests/services.d.ts");
    fs::copy(program, here.join("types.ts")).expect("a file");
    fs::copy(recorded, here.join("services.d.ts")).expect("a file");
    fs::write(here.join("tsconfig.json"), project.to_string()).expect("a file");
    let compiled = Command::new(Node::Version(24).program())
        .arg(compiler)
        .args(["--project", "."])
        .current_dir(here)
        .output()
        .expect("it can be started");
    let said = String::from_utf8_lossy(&compiled.stdout);
    assert!(compiled.status.success(), "{said}");
    for name in ["types.ts", "services.d.ts", "tsconfig.json"] {
        fs::remove_file(here.join(name)).expect("ours");
    }
}
