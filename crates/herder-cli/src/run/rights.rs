//! As whom, and where, the workers run.

use herder_sys::user::{self, Identity};

use super::description::Description;
use super::error::RunError;

/// Whose rights the workers have; `None` = the master's.
///
/// # Errors
/// When nobody is called so, or only root could start them as another user or group.
pub(super) fn identity(description: &Description) -> Result<Option<Identity>, RunError> {
    let app = &description.app;
    let user = app.user.as_deref();
    let user = user.map(|name| look_up(description, "user", name, user::lookup));
    let group = app.group.as_deref();
    let group = group.map(|name| look_up(description, "group", name, user::lookup_group));
    Ok(match (user.transpose()?, group.transpose()?) {
        (None, None) => None,
        (Some(identity), None) => Some(identity),
        (Some(identity), Some(gid)) => Some(Identity { gid, ..identity }),
        (None, Some(gid)) => Some(Identity {
            uid: user::effective_uid(),
            gid,
            groups: vec![gid],
        }),
    })
}

/// Finds out whether the workers' directory is there.
///
/// # Errors
/// When it is not.
pub(super) fn check_directory(description: &Description) -> Result<(), RunError> {
    let Some(path) = description.directory() else {
        return Ok(());
    };
    let problem = match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => "it is not a directory".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(RunError::Unusable {
        setting: description.setting("cwd"),
        given: path.into(),
        problem,
    })
}

fn look_up<T>(
    description: &Description,
    field: &'static str,
    name: &str,
    find: fn(&str) -> std::io::Result<Option<T>>,
) -> Result<T, RunError> {
    let error = |problem: String| RunError::Unusable {
        setting: description.setting(field),
        given: name.into(),
        problem,
    };
    if !user::is_root() {
        let text = format!("only root can start workers as another {field}");
        return Err(error(text));
    }
    match find(name) {
        Ok(Some(found)) => Ok(found),
        Ok(None) => Err(error(format!("there is no such {field}"))),
        Err(failed) => Err(error(failed.to_string())),
    }
}
