//! Claims of ticks, in the store.

use std::time::Duration;

use herder_core::schedule::{ClaimAnswer, JobName, Wall};
use herder_services::redis::Claims;

use crate::server::Server;

#[tokio::test]
async fn one_has_a_tick_until_it_is_done_or_its_claim_has_ended() {
    let server = Server::start();
    let (one, two) = (server.host("s").await, server.host("s").await);
    let ttl = Duration::from_secs(60);
    let (a, b) = (
        Claims::new(one.link, "test", ttl),
        Claims::new(two.link, "test", ttl),
    );
    let (name, tick) = (JobName::new("nightly").unwrap(), Wall::from_millis(1000));
    assert_eq!(
        a.claim(&name, tick, None).await,
        ClaimAnswer::Ours { token: 1, ttl }
    );
    assert!(matches!(b.claim(&name, tick, None).await, ClaimAnswer::Held { left } if left <= ttl));
    assert!(matches!(
        b.renew(&name, tick, 99).await,
        ClaimAnswer::Held { .. }
    ));
    assert_eq!(
        a.renew(&name, tick, 1).await,
        ClaimAnswer::Ours { token: 1, ttl }
    );
    // Who tries again has a greater token; nobody else gets it so.
    assert!(matches!(
        b.claim(&name, tick, Some(99)).await,
        ClaimAnswer::Held { .. }
    ));
    assert_eq!(
        a.claim(&name, tick, Some(1)).await,
        ClaimAnswer::Ours { token: 2, ttl }
    );
    assert!(matches!(
        a.renew(&name, tick, 1).await,
        ClaimAnswer::Held { .. }
    ));
    assert!(!a.settle(&name, tick, 1).await.unwrap());
    assert!(!b.settle(&name, tick, 99).await.unwrap());
    assert!(a.settle(&name, tick, 2).await.unwrap());
    assert_eq!(b.claim(&name, tick, None).await, ClaimAnswer::Done);
    assert_eq!(a.renew(&name, tick, 2).await, ClaimAnswer::Done);

    let tick = Wall::from_millis(2000);
    assert_eq!(
        b.claim(&name, tick, None).await,
        ClaimAnswer::Ours { token: 3, ttl }
    );
    assert!(b.release(&name, tick, 3).await.unwrap());
    assert_eq!(
        a.claim(&name, tick, None).await,
        ClaimAnswer::Ours { token: 4, ttl }
    );
}

#[tokio::test]
async fn the_claim_of_a_dead_holder_ends_by_itself() {
    let server = Server::start();
    let (one, two) = (server.host("s").await, server.host("s").await);
    let heir = Claims::new(one.link, "test", Duration::from_secs(60));
    let brief = Claims::new(two.link, "test", Duration::from_millis(20));
    let (name, tick) = (JobName::new("nightly").unwrap(), Wall::from_millis(3000));
    assert!(matches!(
        brief.claim(&name, tick, None).await,
        ClaimAnswer::Ours { token: 1, .. }
    ));
    loop {
        match heir.claim(&name, tick, None).await {
            ClaimAnswer::Ours { token, .. } => break assert_eq!(token, 2),
            ClaimAnswer::Held { left } => tokio::time::sleep(left).await,
            other @ (ClaimAnswer::Done | ClaimAnswer::Unavailable) => panic!("{other:?}"),
        }
    }
    assert!(
        !brief.settle(&name, tick, 1).await.unwrap(),
        "the late holder is refused"
    );
}
