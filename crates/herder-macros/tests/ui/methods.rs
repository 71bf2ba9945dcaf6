use herder_macros::object;
use herder_rpc::Cx;

#[object(name = "kv", crate = herder_rpc)]
trait Receivers {
    async fn without();
    async fn exclusive(&mut self);
    async fn owned(self);
}

#[object(name = "kv", crate = herder_rpc)]
trait Arguments {
    async fn borrowed(&self, key: &str);
    async fn late_context(&self, key: String, cx: &Cx);
    async fn pattern(&self, (left, right): (u8, u8));
    async fn hidden(&self, key: impl Into<String>);
    async fn generic<T>(&self, key: T);
    #[rustfmt::skip]
    async fn many(&self, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8, j: u8,
        k: u8, l: u8, m: u8, n: u8, o: u8, p: u8, q: u8);
}

#[object(name = "kv", crate = herder_rpc)]
trait Results {
    fn blocking(&self) -> u8;
    async fn alias(&self) -> std::io::Result<u8>;
    async fn hidden(&self) -> impl Clone;
}

#[object(name = "kv", crate = herder_rpc)]
trait Bodies {
    async fn with_body(&self) -> u8 {
        7
    }
    async fn worker_down(&self);
    async fn _hidden(&self);
}

fn main() {}
