//! How many workers, whose, where, and who gives them connections.

use herder_api::app;
use herder_api::units::Period;

use super::{Table, units};
use crate::run::DispatchArg;

/// How many workers, whose, where, and who gives them connections.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "Workers")]
pub(super) struct Workers {
    /// How many: a number, or max for one per CPU. [default: 1]
    #[arg(short = 'i', long, visible_alias = "workers", value_name = "N|max", value_parser = units::workers, allow_negative_numbers = true)]
    instances: Option<app::Workers>,

    /// Apps of a namespace can be named together. [default: default]
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,

    /// The working directory.
    #[arg(long, value_name = "DIR")]
    cwd: Option<String>,

    /// Run them as this user (name or number), with its groups. Only root can.
    #[arg(long, alias = "uid", value_name = "USER", hide_short_help = true)]
    user: Option<String>,

    /// Their group. [default: the user's]
    #[arg(long, alias = "gid", value_name = "GROUP", hide_short_help = true)]
    group: Option<String>,

    /// Where herder listens for a program that is no script of Node: PORT, HOST:PORT, [IPV6]:PORT or
    /// unix:/path. May be repeated.
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<String>,

    /// How many connections the kernel queues for each --listen. [default: 4096]
    #[arg(long, value_name = "N", hide_short_help = true)]
    backlog: Option<u32>,

    /// The permission bits of --listen unix:PATH, in octal. [default: 600]
    #[arg(long, value_name = "MODE", hide_short_help = true)]
    unix_mode: Option<String>,

    /// Who accepts connections. [default: auto]
    #[arg(long, value_name = "MODE", hide_short_help = true)]
    dispatch: Option<DispatchArg>,

    /// Which worker gets a connection: round-robin, or least-connections, two-choices or ip-hash (in pass
    /// and proxy mode), or least-loaded (in kernel mode).
    #[arg(long, value_name = "POLICY", hide_short_help = true)]
    policy: Option<String>,

    /// With --dispatch proxy: how many processes forward, up to 64. [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64), hide_short_help = true)]
    gateways: Option<u16>,

    /// In kernel and reuseport mode: a program that has accepted nobody for so long, while others keep
    /// up, is replaced; or never. [default: 10s]
    #[arg(long, value_name = "DURATION|never", value_parser = units::or_never, hide_short_help = true)]
    hang: Option<Period>,

    /// Listen at --listen, and send the listeners to each worker of a script with the message NAME.
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    send_handle: Option<String>,

    /// Do not load herder's module into workers of Node.
    #[arg(long, hide_short_help = true)]
    no_node_shim: bool,

    /// Variables of the caller that the workers do not get, separated by commas.
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        hide_short_help = true
    )]
    filter_env: Vec<String>,

    /// A variable that tells each worker its slot, beside HERDER_SLOT and NODE_APP_INSTANCE.
    #[arg(long, value_name = "VARIABLE", hide_short_help = true)]
    instance_var: Option<String>,

    /// A variable of the app with a number, to which each worker's slot is added.
    #[arg(long, value_name = "VARIABLE", hide_short_help = true)]
    increment_var: Option<String>,

    /// Apps that are ready before this one is started, separated by commas.
    #[arg(
        long,
        value_name = "APPS",
        value_delimiter = ',',
        hide_short_help = true
    )]
    depends_on: Vec<String>,

    /// Take it into the list, but start it only when it is named.
    #[arg(long, hide_short_help = true)]
    no_autostart: bool,
}

impl Workers {
    pub(super) fn fill(&self, table: &mut Table) {
        table.put("workers", self.instances);
        table.put("namespace", self.namespace.as_ref());
        table.put("cwd", self.cwd.as_ref());
        table.put("user", self.user.as_ref());
        table.put("group", self.group.as_ref());
        table.put_list("listen", &self.listen);
        table.put("backlog", self.backlog);
        table.put("unix_mode", self.unix_mode.as_ref());
        table.put("dispatch", self.dispatch.map(DispatchArg::wanted));
        table.put("policy", self.policy.as_ref());
        table.put("proxy.gateways", self.gateways);
        table.put("hang", self.hang);
        table.put("send_handle", self.send_handle.as_ref());
        table.put_if(self.no_node_shim, "node_shim", false);
        table.put_list("env_remove", &self.filter_env);
        table.put("instance_var", self.instance_var.as_ref());
        table.put("increment_var", self.increment_var.as_ref());
        table.put_list("depends_on", &self.depends_on);
        table.put_if(self.no_autostart, "autostart", false);
    }
}
