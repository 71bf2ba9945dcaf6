//! Paths from where they are meant.

use std::path::{Component, Path, PathBuf};

use herder_api::App;

/// Makes all paths of a definition absolute: `cwd` from `directory` on (and `directory` if there is none), all others but those of
/// variables and of a shell's command from `cwd` on. What a `command` names without a slash is looked up in PATH, and stays
/// as it is. `directory` is absolute.
pub fn resolve(app: &mut App, directory: &Path) {
    let cwd = match &app.cwd {
        Some(cwd) => absolute(directory, cwd),
        None => plain(directory),
    };
    if let Some(script) = &mut app.script {
        *script = absolute(&cwd, script);
    }
    if let Some(program) = app.command.first_mut()
        && program.contains('/')
        && !program.contains(char::is_whitespace)
    {
        *program = of_text(&cwd, program);
    }
    if let Some(interpreter) = &mut app.interpreter
        && interpreter.contains('/')
    {
        *interpreter = of_text(&cwd, interpreter);
    }
    let libraries = app.libraries.values_mut();
    let files = [&mut app.logs.out, &mut app.logs.error, &mut app.jobs_file];
    let proxy = app.proxy.iter_mut();
    let certificates = proxy.flat_map(|proxy| {
        let simple = [&mut proxy.certificate, &mut proxy.key];
        let more = proxy.certificates.iter_mut();
        let more = more.flat_map(|it| [&mut it.certificate, &mut it.key]);
        simple.into_iter().flatten().chain(more)
    });
    let files = files.into_iter().flatten().chain(certificates);
    for path in files.chain(libraries) {
        *path = absolute(&cwd, path);
    }
    for place in app.state.values_mut() {
        if let Some(path) = place.strip_prefix("file:") {
            *place = format!("file:{}", of_text(&cwd, path));
        }
    }
    for address in &mut app.listen {
        if let Some(path) = address
            .strip_prefix("unix:")
            .filter(|path| !path.starts_with('@'))
        {
            *address = format!("unix:{}", of_text(&cwd, path));
        }
    }
    app.cwd = Some(cwd);
}

/// A path from a directory on, without `.` and without `..` where that can be known.
pub(crate) fn absolute(directory: &Path, path: &Path) -> PathBuf {
    plain(&directory.join(path))
}

fn of_text(directory: &Path, text: &str) -> String {
    let path = absolute(directory, Path::new(text));
    // It was text, and so is the directory that everything else of the file is in.
    path.to_str().map_or_else(|| text.to_owned(), str::to_owned)
}

/// Without `.`; `..` stays, because what stands before it may be a symbolic link.
fn plain(path: &Path) -> PathBuf {
    let parts = path.components().filter(|part| *part != Component::CurDir);
    parts.collect()
}
