//! A script for OpenRC.

use super::{MARK, Place, Recipe, Service, quoted, words};

/// How a service is set up.
pub(super) fn recipe(service: &Service, place: &Place) -> Recipe {
    let name = &service.name;
    Recipe {
        file: place.directory.join(name),
        text: text(service),
        mode: 0o755,
        enable: vec![words(&format!("rc-update add {name} default"))],
        disable: vec![words(&format!("rc-update delete {name} default"))],
        forget: Vec::new(),
        start: format!("rc-service {name} start"),
        notes: Vec::new(),
    }
}

fn text(service: &Service) -> String {
    let program = quoted(&service.program.to_string_lossy());
    let home = quoted(&format!("HERDER_HOME={}", service.home.display()));
    let path = quoted(&format!("PATH={}", service.path));
    let user = match &service.user {
        Some(user) => format!("command_user={}\n", quoted(user)),
        None => String::new(),
    };
    format!(
        "#!/sbin/openrc-run\n\
         {MARK}; herder unstartup removes it.\n\
         \n\
         name={name}\n\
         description='herder: keeps apps running'\n\
         supervisor=supervise-daemon\n\
         command={program}\n\
         command_args='daemon --resurrect'\n\
         {user}\
         # Where programs are found: as it was when this was written, so that a node of nvm is. And who\n\
         # starts the daemon anew when its guard dies: supervise-daemon, not the daemon itself.\n\
         export {home} {path} HERDER_DAEMON_MANAGED=0\n\
         respawn_delay=2\n\
         respawn_max=10\n\
         respawn_period=120\n\
         rc_ulimit='-n 65536'\n\
         # The daemon stops the apps itself, in order. A daemon that crashes leaves them alone, and the next\n\
         # one takes them over. (They are not to be killed with the service: rc_cgroup_cleanup stays no.)\n\
         retry='TERM/90'\n\
         rc_cgroup_cleanup=no\n\
         extra_started_commands=reload\n\
         \n\
         depend() {{\n\
         \tneed localmount\n\
         \tuse net dns logger\n\
         \tafter bootmisc firewall\n\
         }}\n\
         \n\
         reload() {{\n\
         \tebegin 'Reloading all apps'\n\
         \tsupervise-daemon \"$RC_SVCNAME\" --signal HUP\n\
         \teend $?\n\
         }}\n",
        name = quoted(&service.name),
    )
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::process::{Command, Stdio};

    use super::super::{Init, recipe};
    use super::*;
    use crate::render::snapshot;

    #[test]
    fn the_script_is_as_recorded_and_a_shell_can_read_it() {
        let service = Service {
            name: "herder-web".to_owned(),
            user: Some("web".to_owned()),
            is_root: false,
            program: PathBuf::from("/opt/it's here/herder"),
            home: PathBuf::from("/home/web/.herder"),
            path: "/usr/local/bin:/usr/bin:/bin".to_owned(),
        };
        let place = Place {
            init: Init::Openrc,
            is_of_machine: true,
            user: "web".to_owned(),
            name: "herder-web".to_owned(),
            directory: PathBuf::from("/etc/init.d"),
        };
        let found = recipe(&service, &place, None);
        snapshot::check("openrc", &found.text);
        let file = std::env::temp_dir().join(format!("herder-openrc-{}", std::process::id()));
        std::fs::write(&file, &found.text).expect("a file");
        let mut shell = Command::new("sh");
        shell.arg("-n").arg(&file).stdin(Stdio::null());
        let read = shell.status().expect("there is a shell");
        std::fs::remove_file(&file).expect("it is ours");
        assert!(read.success());
    }
}
