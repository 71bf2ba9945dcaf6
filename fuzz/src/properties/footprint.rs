//! What a message holds of the heap.

use herder_wire::gateway::{GatewayConfig, Origins, ToGateway};
use herder_wire::plan::{DescriptorUse, LaunchPlan, Program};

/// The heap memory of a plan in bytes, by the capacity of everything in it.
pub(super) fn footprint(plan: &LaunchPlan) -> usize {
    let pairs = plan
        .environment
        .iter()
        .map(|(name, value)| name.capacity() + value.capacity());
    let uses = plan.descriptors.iter().map(|descriptor| match descriptor {
        DescriptorUse::Listener { name } => name.capacity(),
        DescriptorUse::Conns
        | DescriptorUse::Control
        | DescriptorUse::Estate
        | DescriptorUse::Keeper
        | DescriptorUse::Page
        | DescriptorUse::Place { .. } => 0,
    });
    plan.app.capacity()
        + plan.title.capacity()
        + plan.program.as_ref().map_or(0, program_footprint)
        + items(&plan.environment)
        + pairs.sum::<usize>()
        + plan.directory.as_ref().map_or(0, Vec::capacity)
        + plan
            .identity
            .as_ref()
            .map_or(0, |identity| items(&identity.groups))
        + items(&plan.limits)
        + items(&plan.descriptors)
        + uses.sum::<usize>()
}

/// The heap memory of a configuration in bytes, by the capacity of everything in it.
pub(super) fn settings_footprint(message: &ToGateway) -> usize {
    let ToGateway::Configure(config) = message else {
        return 0;
    };
    let origins = match &config.origins {
        Origins::Any | Origins::Same => 0,
        Origins::Listed(origins) => {
            items(origins) + origins.iter().map(String::capacity).sum::<usize>()
        }
    };
    size_of::<GatewayConfig>()
        + items(&config.protocols)
        + origins
        + config.feed.as_ref().map_or(0, String::capacity)
        + config.lost_reply.as_ref().map_or(0, String::capacity)
}

pub(super) fn program_footprint(program: &Program) -> usize {
    let arguments = program.argv.iter().map(Vec::capacity).sum::<usize>();
    program.path.capacity() + items(&program.argv) + arguments
}

pub(super) fn items<T>(list: &Vec<T>) -> usize {
    list.capacity() * size_of::<T>()
}
