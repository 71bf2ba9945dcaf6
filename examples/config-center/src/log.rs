//! What the library and the workers print; the master writes it into the herd's log.

use herder::rpc::ObjectSignature;
use herder::rpc::server::Object;

/// Prints one line.
#[expect(clippy::print_stderr, reason = "the example's own log")]
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}

/// Prints which methods an object has.
pub(crate) fn offers(who: &str, name: &str, object: &impl Object) {
    say(&format!("{who} {}", methods(name, &object.signature())));
}

/// The methods of an object: `config.get(key), config.set(key, value)`.
pub(crate) fn methods(object: &str, signature: &ObjectSignature) -> String {
    let method = |(name, method): (&String, &herder::rpc::MethodSignature)| {
        let args: Vec<&str> = method.args.iter().map(|arg| arg.name.as_str()).collect();
        format!("{object}.{name}({})", args.join(", "))
    };
    let methods: Vec<String> = signature.methods.iter().map(method).collect();
    methods.join(", ")
}
