//! Changing the environment, which is sound only while nobody else can read it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;

use crate::process;

/// Makes `variables` the whole environment of this process.
///
/// # Errors
/// When this process has more than one thread (another one could be reading), or a name is empty
/// or has a `=` or a zero byte, or a value has a zero byte. Nothing is changed then.
pub fn replace_environment(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> io::Result<()> {
    let variables: Vec<(OsString, OsString)> = variables.into_iter().collect();
    for (name, value) in &variables {
        check_name(name)?;
        check_no_zero(value)?;
    }
    require_single_thread("change the environment")?;
    // SAFETY: this is the only thread, so nobody reads the environment meanwhile.
    let failed = unsafe { libc::clearenv() } != 0;
    if failed {
        return Err(io::Error::other("the environment cannot be cleared"));
    }
    for (name, value) in &variables {
        // SAFETY: this is the only thread, so nobody reads the environment meanwhile.
        unsafe { std::env::set_var(name, value) };
    }
    Ok(())
}

/// Removes one variable; it need not be there.
///
/// # Errors
/// As [`replace_environment`].
pub fn remove(name: impl AsRef<OsStr>) -> io::Result<()> {
    let name = name.as_ref();
    check_name(name)?;
    require_single_thread("change the environment")?;
    // SAFETY: this is the only thread, so nobody reads the environment meanwhile.
    unsafe { std::env::remove_var(name) };
    Ok(())
}

/// Refuses what is only sound, or only sensible, while the process has one thread.
pub(crate) fn require_single_thread(what: &str) -> io::Result<()> {
    match process::thread_count()? {
        1 => Ok(()),
        threads => Err(io::Error::other(format!(
            "a process with {threads} threads cannot {what}, it must have only one"
        ))),
    }
}

/// std panics on what the C library would refuse.
fn check_name(name: &OsStr) -> io::Result<()> {
    if name.is_empty() || name.as_bytes().contains(&b'=') {
        let message = format!("{name:?} is no name of an environment variable");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    check_no_zero(name)
}

fn check_no_zero(text: &OsStr) -> io::Result<()> {
    if text.as_bytes().contains(&0) {
        let message = format!("{text:?} has a zero byte");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_names_are_errors_and_no_panics() {
        for name in ["", "a=b", "a\0b"] {
            assert_eq!(
                remove(name).unwrap_err().kind(),
                io::ErrorKind::InvalidInput,
                "{name:?}"
            );
        }
    }

    #[test]
    fn with_a_second_thread_nothing_is_changed() {
        // The test harness itself is the second thread; make sure of it.
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || stopped.recv());
        let error = replace_environment([("A".into(), "b".into())]).unwrap_err();
        assert!(error.to_string().contains("threads"), "{error}");
        assert!(remove("PATH").is_err());
        assert!(std::env::var_os("PATH").is_some());
        drop(stop);
        assert!(thread.join().unwrap().is_err());
    }
}
