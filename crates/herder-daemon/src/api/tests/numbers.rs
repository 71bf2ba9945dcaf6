//! Metrics.

use super::stage::{Stage, event, status, until};

fn value(page: &str, sample: &str) -> Option<f64> {
    let line = page.lines().find_map(|line| line.strip_prefix(sample))?;
    Some(line.trim().parse().unwrap())
}

#[tokio::test]
async fn metrics_are_what_the_books_say() {
    let stage = Stage::new();
    let page = stage.client.metrics().await.unwrap();
    for (sample, expected) in [
        ("herder_info{version=\"1.2.3\"}", 1.0),
        ("herder_start_time_seconds", 1_795_000_000.5),
        ("herder_apps{phase=\"online\"}", 1.0),
        ("herder_apps{phase=\"errored\"}", 1.0),
        ("herder_apps{phase=\"stopped\"}", 0.0),
        ("herder_app_up{app=\"web\"}", 1.0),
        ("herder_app_up{app=\"job\"}", 0.0),
        ("herder_app_workers{app=\"web\"}", 2.0),
        ("herder_app_workers_ready{app=\"web\"}", 2.0),
        (
            "herder_app_restarts_total{app=\"web\",reason=\"failure\"}",
            4.0,
        ),
        (
            "herder_app_restarts_total{app=\"web\",reason=\"planned\"}",
            5.0,
        ),
        (
            "herder_app_start_time_seconds{app=\"web\"}",
            1_795_000_001.0,
        ),
        ("herder_app_healthy{app=\"web\"}", 1.0),
        ("herder_app_memory_bytes{app=\"web\"}", 3_145_728.0),
        ("herder_app_cpu_ratio{app=\"web\"}", 1.5),
        ("herder_app_connections_total{app=\"web\"}", 12345.0),
        ("herder_app_generation{app=\"web\"}", 4.0),
        ("herder_slot_restarts_total{app=\"web\",slot=\"1\"}", 3.0),
        ("herder_worker_age_seconds{app=\"web\",slot=\"0\"}", 1.5),
        (
            "herder_worker_memory_bytes{app=\"web\",slot=\"0\"}",
            1_048_576.0,
        ),
        ("herder_worker_cpu_ratio{app=\"web\",slot=\"1\"}", 0.5),
        ("herder_events_missed_total", 0.0),
    ] {
        assert_eq!(
            value(&page, &format!("{sample} ")),
            Some(expected),
            "{sample}\n{page}"
        );
    }
    let escaped = r#"herder_app_info{app="job",namespace="night \"shift\"\n\\",dispatch=""} 1"#;
    assert!(page.contains(escaped), "{page}");
    well_formed(&page);
}

/// Every sample follows its family's two comments, and none stands twice.
fn well_formed(page: &str) {
    let mut family = "";
    let mut samples = std::collections::BTreeSet::new();
    for line in page.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            family = help.split_once(' ').unwrap().0;
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(name, family, "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
        } else {
            let (sample, number) = line.rsplit_once(' ').unwrap();
            number.parse::<f64>().unwrap_or_else(|_| panic!("{line}"));
            let rest = sample
                .strip_prefix(family)
                .unwrap_or_else(|| panic!("{line}"));
            assert!(
                rest.is_empty() || rest.starts_with('{') && rest.ends_with('}'),
                "{line}"
            );
            assert!(samples.insert(sample), "{line}");
        }
    }
    assert!(page.ends_with('\n') && samples.len() > 20);
}

#[tokio::test]
async fn what_happens_is_counted_by_reason() {
    let stage = Stage::new();
    // It counts from the first moment that somebody is served.
    assert_eq!(status(&stage.get("/v1/daemon").await), 200);
    let crash = event("web", "exited", &[("exit", "code"), ("cause", "crash")]);
    let kill = event("web", "exited", &[("exit", "signal"), ("cause", "crash")]);
    let gone = event("old", "app_stopped", &[]);
    for event in [&crash, &crash, &kill, &gone, &event("web", "ready", &[])] {
        stage.events.send(event.clone()).unwrap();
    }
    stage.events.send(event("old", "app_deleted", &[])).unwrap();
    until("they are counted", || stage.events.is_empty()).await;
    let page = stage.client.metrics().await.unwrap();
    for (sample, expected) in [
        (
            "herder_incidents_total{app=\"web\",reason=\"crash\"} ",
            Some(2.0),
        ),
        (
            "herder_incidents_total{app=\"web\",reason=\"signal\"} ",
            Some(1.0),
        ),
        (
            "herder_incidents_total{app=\"old\",reason=\"operator\"} ",
            None,
        ),
    ] {
        assert_eq!(value(&page, sample), expected, "{page}");
    }
    well_formed(&page);
}
