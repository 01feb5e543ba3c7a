//! Signals and cache over a real Redis: across replicas, and through its death and its silence.

use std::time::{Duration, Instant};

use base::Secret;
use tokio::sync::broadcast::Receiver;

use crate::redis_for_tests::{PASSWORD, Server};
use crate::{Link, Signal, Signals};

const PATIENCE: Duration = Duration::from_secs(20);
/// What a page may lose by a Redis that hangs.
const BUDGET: Duration = Duration::from_millis(600);

fn over(server: &Server, site: &str) -> Signals {
    Signals::over_redis(&Secret::new(server.url()), None, site).unwrap()
}

async fn becomes(signals: &Signals, link: Link) {
    let waited = async {
        while signals.link() != link {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waited).await.unwrap_or_else(|_| panic!("it did not become {link:?}"));
}

async fn hears(listener: &mut Receiver<Signal>, topic: &str) -> Signal {
    let heard = async {
        loop {
            let signal = listener.recv().await.unwrap();
            if signal.topic == topic {
                return signal;
            }
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.expect("nothing was heard")
}

#[tokio::test]
async fn replicas_hear_each_other_and_share_what_is_kept() {
    let Some(server) = Server::start() else { return };
    let (one, other, stranger) = (over(&server, "a"), over(&server, "a"), over(&server, "b"));
    for signals in [&one, &other, &stranger] {
        becomes(signals, Link::Connected).await;
    }
    let (mut own, mut there, mut elsewhere) = (one.listen(), other.listen(), stranger.listen());
    one.publish("jobs", "two\nlines");
    let expected = Signal { topic: "jobs".into(), text: "two\nlines".into() };
    assert_eq!(hears(&mut there, "jobs").await, expected);
    assert_eq!(hears(&mut own, "jobs").await, expected);
    one.put("key", "value", Duration::from_mins(1)).await;
    assert_eq!(other.get("key").await.as_deref(), Some("value"));
    assert_eq!(stranger.get("key").await, None, "another site's");
    one.put("short", "value", Duration::from_millis(1)).await;
    other.publish("end", "");
    hears(&mut own, "end").await;
    assert!(own.try_recv().is_err(), "nobody hears itself twice");
    assert!(elsewhere.try_recv().is_err(), "another site's");
    let gone = async { while other.get("short").await.is_some() {} };
    tokio::time::timeout(PATIENCE, gone).await.expect("it was kept for too long");
    // What others write into the channel is read with care.
    server.ask(&["publish", "gitgrit:a:signals", "nonsense"]);
    server.ask(&["publish", "gitgrit:a:signals", "x\nfrom outside\n"]);
    hears(&mut own, "from outside").await;
}

#[tokio::test]
async fn a_redis_that_dies_is_done_without_and_used_again_when_it_is_back() {
    let Some(mut server) = Server::start() else { return };
    let (one, other) = (over(&server, "a"), over(&server, "a"));
    becomes(&one, Link::Connected).await;
    let mut here = one.listen();
    server.kill();
    becomes(&one, Link::Away).await;
    let begun = Instant::now();
    one.put("key", "value", Duration::from_mins(1)).await;
    assert_eq!(one.get("key").await, None);
    assert!(begun.elapsed() < BUDGET);
    one.publish("jobs", "");
    hears(&mut here, "jobs").await;
    server.start_again();
    becomes(&one, Link::Connected).await;
    becomes(&other, Link::Connected).await;
    other.publish("again", "");
    hears(&mut here, "again").await;
}

#[tokio::test]
async fn a_redis_that_hangs_costs_a_page_little_and_only_once() {
    let Some(server) = Server::start() else { return };
    let signals = over(&server, "a");
    becomes(&signals, Link::Connected).await;
    server.pause();
    let begun = Instant::now();
    assert_eq!(signals.get("key").await, None);
    assert!(begun.elapsed() < BUDGET, "{:?}", begun.elapsed());
    let again = Instant::now();
    for _ in 0..100 {
        assert_eq!(signals.get("key").await, None);
    }
    assert!(again.elapsed() < BUDGET, "{:?}", again.elapsed());
    assert_eq!(signals.link(), Link::Away);
    server.resume();
    becomes(&signals, Link::Connected).await;
}

#[tokio::test]
async fn a_wrong_password_is_a_redis_that_is_away_and_is_not_shown() {
    let Some(server) = Server::start() else { return };
    let url = server.url().replace(PASSWORD, "hunter3");
    let signals = Signals::over_redis(&Secret::new(url), None, "a").unwrap();
    let mut here = signals.listen();
    signals.publish("jobs", "");
    hears(&mut here, "jobs").await;
    assert_eq!((signals.get("key").await, signals.link()), (None, Link::Away));
}
