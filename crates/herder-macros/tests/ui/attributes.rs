use herder_macros::object;
use herder_rpc::server::Feed;

#[object(name = "kv", crate = herder_rpc)]
trait Times {
    #[herder(deadline = "200")]
    async fn no_unit(&self);
    #[herder(deadline = "0ms")]
    async fn no_time(&self);
    #[herder(deadline = "100000m")]
    async fn too_long(&self);
    #[herder(deadline = 200)]
    async fn no_text(&self);
}

#[object(name = "kv", crate = herder_rpc)]
trait Streams {
    #[herder(stream = "changes")]
    fn unknown_kind(&self) -> Feed<u8>;
    #[herder(stream = "state")]
    fn no_feed(&self) -> Vec<u8>;
    #[herder(stream = "state")]
    fn no_item(&self) -> impl Iterator<Item = u8>;
    #[herder(stream = "events", idempotent)]
    fn repeated(&self) -> Feed<u8>;
    #[herder(stream = "events", concurrency = 4)]
    fn limited(&self) -> Feed<u8>;
    #[herder(stream = "events", notify)]
    fn both(&self) -> Feed<u8>;
}

#[object(name = "kv", crate = herder_rpc)]
trait Notices {
    #[herder(notify)]
    fn answered(&self) -> u8;
    #[herder(notify, deadline = "5s")]
    fn awaited(&self);
    #[herder(notify, idempotent)]
    fn repeated(&self);
}

#[object(name = "kv", crate = herder_rpc)]
trait Calls {
    #[herder(concurrency = 0)]
    async fn never(&self);
    #[herder(retries = 3)]
    async fn unknown(&self);
}

fn main() {}
