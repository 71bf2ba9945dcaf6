use herder_macros::object;

#[object(name = "kv", crate = herder_rpc)]
struct NoTrait;

#[object(name = "kv", crate = herder_rpc)]
trait Generic<T> {
    async fn get(&self, key: T);
}

#[object(name = "kv", crate = herder_rpc)]
trait WithType {
    type Item;
}

#[object(name = "kv", crate = herder_rpc)]
unsafe trait Unsafe {}

#[object(name = "k v", crate = herder_rpc)]
trait BadName {}

#[object(name = "_kv", crate = herder_rpc)]
trait HiddenName {}

#[object(nam = "kv", crate = herder_rpc)]
trait Misspelt {}

#[object(name = "kv", codec = "msgpack", crate = herder_rpc)]
trait UnknownCodec {}

fn main() {}
