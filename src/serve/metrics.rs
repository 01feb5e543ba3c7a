//! Counts what the doors do, in Prometheus' text form. One recorder for each server, none for the process: two servers in
//! one test do not mix. Labels come from our own tables, never from what a visitor wrote.

use std::time::Duration;

use metrics::{Key, Label, Level, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

/// Upper ends of the duration buckets, in seconds.
const BUCKETS: [f64; 12] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0];

const REQUESTS: &str = "gitgrit_http_requests_total";
const DURATION: &str = "gitgrit_http_request_duration_seconds";
const TRANSFERS: &str = "gitgrit_git_transfers_total";

/// Names and meanings of the gauges, which are read when somebody asks.
const GAUGES: [(&str, &str); 10] = [
    ("gitgrit_http_requests_in_flight", "Requests whose answer is not complete."),
    ("gitgrit_http_connections", "Open web connections."),
    ("gitgrit_ssh_sessions", "Open SSH connections, signed in or not."),
    ("gitgrit_git_transfers_running", "Git transfers that have a process or a pack at work."),
    ("gitgrit_live_streams", "Open streams of live events."),
    ("gitgrit_redis_connected", "1 when Redis answers, else 0; not there for a site without it."),
    ("gitgrit_process_resident_bytes", "Resident memory of the server, without its Git children."),
    ("gitgrit_certificate_days_left", "Days until the server's certificate ends; negative when it has."),
    ("gitgrit_clock_synchronized", "1 when this host's time service says that the clock follows a source, else 0."),
    ("gitgrit_clock_offset_seconds", "How far the clock is from its source, by chrony, without sign."),
];

/// One server's counters.
pub(crate) struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl Metrics {
    /// Counts from zero.
    pub(crate) fn new() -> Result<Self, BuildError> {
        let recorder =
            PrometheusBuilder::new().set_buckets_for_metric(Matcher::Full(DURATION.into()), &BUCKETS)?.build_recorder();
        let describe = |name: &'static str, text: &'static str| (name.into(), None::<Unit>, SharedString::from(text));
        let (name, unit, text) = describe(REQUESTS, "Requests by method, route and status.");
        recorder.describe_counter(name, unit, text);
        let (name, unit, text) = describe(DURATION, "Time from a request to the end of its answer, by route.");
        recorder.describe_histogram(name, unit, text);
        let (name, unit, text) = describe(TRANSFERS, "Git transfers by service, transport and outcome.");
        recorder.describe_counter(name, unit, text);
        for (name, text) in GAUGES {
            let (name, unit, text) = describe(name, text);
            recorder.describe_gauge(name, unit, text);
        }
        let handle = recorder.handle();
        Ok(Self { recorder, handle })
    }

    /// One answered request. `route` is a pattern of the route table.
    pub(crate) fn request(&self, method: &str, route: &str, status: u16, took: Duration) {
        let labels = vec![label("method", method), label("route", route), label("status", &status.to_string())];
        self.count(REQUESTS, labels);
        let key = Key::from_parts(DURATION, vec![label("route", route)]);
        self.recorder.register_histogram(&key, &ABOUT).record(took.as_secs_f64());
    }

    /// One Git transfer that ended.
    pub(crate) fn transfer(&self, service: &str, transport: &str, is_ok: bool) {
        let outcome = if is_ok { "ok" } else { "failed" };
        let labels = vec![label("service", service), label("transport", transport), label("outcome", outcome)];
        self.count(TRANSFERS, labels);
    }

    /// Sets one of the gauges.
    pub(crate) fn gauge(&self, name: &'static str, value: f64) {
        self.recorder.register_gauge(&Key::from_static_name(name), &ABOUT).set(value);
    }

    /// Everything in Prometheus' text form.
    pub(crate) fn render(&self) -> String {
        self.handle.render()
    }

    /// Folds samples into their buckets; without this they pile up while nobody asks.
    pub(crate) fn fold(&self) {
        self.handle.run_upkeep();
    }

    fn count(&self, name: &'static str, labels: Vec<Label>) {
        self.recorder.register_counter(&Key::from_parts(name, labels), &ABOUT).increment(1);
    }
}

static ABOUT: Metadata<'static> = Metadata::new("serve", Level::INFO, None);

fn label(name: &'static str, value: &str) -> Label {
    Label::new(name, value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_gauges_come_out_in_text_form() {
        let metrics = Metrics::new().unwrap();
        metrics.request("GET", "/{owner}/{repo}", 200, Duration::from_millis(3));
        metrics.transfer("git-upload-pack", "ssh", true);
        metrics.gauge("gitgrit_ssh_sessions", 2.0);
        metrics.fold();
        let text = metrics.render();
        for line in [
            r#"gitgrit_http_requests_total{method="GET",route="/{owner}/{repo}",status="200"} 1"#,
            r#"gitgrit_http_request_duration_seconds_bucket{route="/{owner}/{repo}",le="0.005"} 1"#,
            r#"gitgrit_git_transfers_total{service="git-upload-pack",transport="ssh",outcome="ok"} 1"#,
            "gitgrit_ssh_sessions 2",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
