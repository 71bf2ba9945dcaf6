//! Typed clients: numbers, codecs, and libraries that were compiled otherwise.

use std::sync::Arc;

use bytes::Bytes;
use herder_rpc::client::{Client, Proxy, RpcError, StreamItem, Subscription, TypedCall};
use herder_rpc::{CallError, Codec, ErrorKind, Executed, MethodKind, ObjectSignature, Signature};
use herder_wire::rpc::{Argument, Frame, ItemKind, MethodSignature};
use serde_json::json;

use crate::fake::Fake;

/// What a macro would write for `add(left, right) -> u64` and `numbers() -> stream of u64`.
struct Sums(Proxy);

impl Client for Sums {
    const NAME: &'static str = "sums";

    fn signature() -> Arc<ObjectSignature> {
        Arc::new(sums(&[], "build 1"))
    }

    fn new(proxy: Proxy) -> Self {
        Self(proxy)
    }
}

impl Sums {
    fn add(&self, left: u64, right: u64) -> TypedCall<(u64, u64), u64, RpcError<String>> {
        TypedCall::new(&self.0, 0, (left, right))
    }

    fn numbers(&self) -> Subscription<u64> {
        self.0.subscribe(1, [(); 0], &Default::default())
    }
}

fn sums(more: &[&str], layout: &str) -> ObjectSignature {
    let argument = |name: &str| Argument {
        name: name.to_owned(),
        schema: json!("integer"),
    };
    let add = MethodSignature {
        args: ["left", "right"].map(argument).into(),
        returns: Some(json!("integer")),
        ..Default::default()
    };
    let numbers = MethodSignature {
        kind: MethodKind::Events,
        ..Default::default()
    };
    let more = more.iter().map(|name| (*name, MethodSignature::default()));
    let methods = [("add", add), ("numbers", numbers)].into_iter().chain(more);
    let methods = methods.map(|(name, method)| (name.to_owned(), method));
    ObjectSignature::new("", methods).with_layout(layout)
}

fn library(object: ObjectSignature) -> Fake {
    let mut fake = Fake::new();
    fake.signature = Signature::new("core", [("sums".to_owned(), object)]);
    fake
}

async fn add(fake: &Fake, expected: Codec, method: u16) {
    let agent = fake.agent();
    let caller = async {
        let sums: Sums = agent.object().await.unwrap();
        let sum = sums.add(3, 4).await.unwrap();
        let mut numbers = sums.numbers();
        assert_eq!(
            numbers.next().await.unwrap().unwrap(),
            StreamItem::Item { seq: 1, value: 9 }
        );
        sum
    };
    let library = async {
        let mut peer = fake.serve().await;
        let Some(Frame::Call {
            id,
            target,
            codec,
            args,
            ..
        }) = peer.next().await
        else {
            panic!("a call")
        };
        assert_eq!((codec, target.method), (expected, method));
        let (sent, value): (&[u8], &'static [u8]) = match expected {
            Codec::Json => (b"[3,4]", b"7"),
            Codec::Postcard => (&[3, 4], &[7]),
        };
        assert_eq!(&*args, sent);
        let value = Bytes::from_static(value);
        peer.send(Frame::Ok { id, codec, value }).await;
        let Some(Frame::Subscribe {
            id, codec, args, ..
        }) = peer.next().await
        else {
            panic!("a subscription")
        };
        let (no_args, value): (&[u8], &'static [u8]) = match expected {
            Codec::Json => (b"[]", b"9"),
            Codec::Postcard => (b"", &[9]),
        };
        assert_eq!((codec, &*args), (expected, no_args));
        peer.opened(id, 1, 0).await;
        let (kind, value) = (ItemKind::Item, Bytes::from_static(value));
        peer.send(Frame::Item {
            id,
            seq: 1,
            kind,
            codec,
            value,
        })
        .await;
        peer
    };
    let (sum, _peer) = tokio::join!(caller, library);
    assert_eq!(sum, 7);
}

#[tokio::test]
async fn the_same_build_speaks_postcard() {
    add(&library(sums(&[], "build 1")), Codec::Postcard, 0).await;
}

#[tokio::test]
async fn another_build_with_the_same_methods_speaks_json() {
    add(&library(sums(&[], "build 2")), Codec::Json, 0).await;
}

#[tokio::test]
async fn a_library_with_more_methods_numbers_them_otherwise() {
    add(&library(sums(&["a_new_one"], "build 2")), Codec::Json, 1).await;
}

#[tokio::test]
async fn what_does_not_fit_is_named() {
    let cases = [
        (
            Signature::new("core", []),
            ErrorKind::NoObject,
            "no object sums",
        ),
        (
            Signature::new("core", [("sums".to_owned(), ObjectSignature::new("", []))]),
            ErrorKind::NoMethod,
            "no method add",
        ),
        (
            different(),
            ErrorKind::BadArguments,
            "sums.add: the number of arguments is 0",
        ),
    ];
    for (signature, kind, message) in cases {
        let mut fake = Fake::new();
        fake.signature = signature;
        let agent = fake.agent();
        let (object, _peer) = tokio::join!(agent.object::<Sums>(), fake.serve());
        let Err(error) = object else {
            panic!("it does not fit")
        };
        assert_eq!((error.kind, error.executed), (kind, Executed::No));
        assert!(error.message.contains(message), "{error}");
        // A client that was there before learns it with its next call.
        let error = agent.client::<Sums>().add(1, 2).await.unwrap_err();
        let RpcError::Call(error) = error else {
            panic!("{error:?}")
        };
        assert_eq!((error.kind, error.target.as_str()), (kind, "sums.add"));
        assert!(error.message.contains(message), "{error}");
    }
}

fn different() -> Signature {
    let mut object = sums(&[], "");
    object.methods.get_mut("add").unwrap().args.clear();
    let object = ObjectSignature::new("", object.methods);
    Signature::new("core", [("sums".to_owned(), object)])
}

#[tokio::test]
async fn errors_of_the_method_have_their_type() {
    let fake = library(sums(&[], "build 1"));
    let agent = fake.agent();
    let library = async {
        let mut peer = fake.serve().await;
        for data in [json!("overflow"), json!(7)] {
            let Some(Frame::Call { id, .. }) = peer.next().await else {
                panic!("a call")
            };
            let error = CallError::app("overflow", "too much").with_data(data);
            peer.send(Frame::Error {
                id,
                error: error.to_json(),
            })
            .await;
        }
        peer
    };
    let caller = async {
        let sums: Sums = agent.client();
        let error = sums.add(1, 2).await.unwrap_err();
        assert_eq!(error, RpcError::App("overflow".to_owned()));
        let RpcError::Call(error) = sums.add(1, 2).await.unwrap_err() else {
            panic!("no text")
        };
        assert_eq!(error.kind, ErrorKind::App);
    };
    tokio::join!(caller, library);
}
