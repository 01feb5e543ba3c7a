//! What monitoring asks: alive, ready, numbers, and the authority's certificate for clients. Reveals no name of a person
//! or a repository.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use forge::RedisState;
use tracing::warn;

use crate::request::{Peer, chain};
use crate::state::{AppState, Doors};

/// Time that the database has to answer `/readyz`.
const READY: Duration = Duration::from_secs(5);
/// Headers that a proxy adds; a request with one of them is not from this host, whatever its connection says.
const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

/// The routes.
pub(crate) fn router() -> Router<AppState> {
    Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .route("/metrics", get(numbers))
        .route("/ca.pem", get(authority))
}

/// The process answers.
async fn alive() -> &'static str {
    "ok\n"
}

/// The database answers too, and it is said when Redis does not, and the server is not stopping. 503 with the class of the reason otherwise.
async fn ready(State(state): State<AppState>) -> Response {
    let reason = if state.doors.is_stopping.load(Ordering::Relaxed) {
        "stopping"
    } else {
        match tokio::time::timeout(READY, state.forge.is_ready()).await {
            // Pages answer without Redis: whoever took the server out of service for it would make a small loss a large one.
            Ok(Ok(())) if state.forge.redis() == RedisState::Away => return "ready, without redis\n".into_response(),
            Ok(Ok(())) => return "ready\n".into_response(),
            Ok(Err(error)) => {
                warn!(error = chain(&error), "the forge is not ready");
                class(&error)
            }
            Err(_) => "timeout",
        }
    };
    (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")).into_response()
}

/// Prometheus' text form. For connections from this host alone; a missing page for everyone else.
async fn numbers(State(state): State<AppState>, Extension(peer): Extension<Peer>, headers: HeaderMap) -> Response {
    if !peer.address().is_loopback() || FORWARDED.iter().any(|name| headers.contains_key(*name)) {
        return (StatusCode::NOT_FOUND, "not found\n").into_response();
    }
    measure(&state);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], state.doors.metrics.render()).into_response()
}

/// The site authority's certificate, for clients that shall trust this site.
async fn authority(State(state): State<AppState>) -> Response {
    match state.ca_certificate {
        Some(pem) => {
            let disposition = (header::CONTENT_DISPOSITION, "attachment; filename=\"ca.pem\"");
            ([(header::CONTENT_TYPE, "application/x-pem-file"), disposition], pem).into_response()
        }
        None => (StatusCode::NOT_FOUND, "this site has no authority of its own\n").into_response(),
    }
}

const fn class(error: &forge::Error) -> &'static str {
    match error {
        forge::Error::Store(_) | forge::Error::Away(_) => "database",
        forge::Error::Git(_) | forge::Error::File(_) => "repositories",
        forge::Error::Vault(_) => "keys",
        _ => "forge",
    }
}

/// Reads the gauges.
fn measure(state: &AppState) {
    let Doors { metrics, transfers, http, ssh, streams, in_flight, certificates, clock_state, .. } = &*state.doors;
    metrics.gauge("gitgrit_http_requests_in_flight", number(in_flight.load(Ordering::Relaxed)));
    metrics.gauge("gitgrit_http_connections", number(http.count()));
    metrics.gauge("gitgrit_ssh_sessions", number(ssh.count()));
    metrics.gauge("gitgrit_live_streams", number(streams.count()));
    match state.forge.redis() {
        RedisState::Unused => {}
        RedisState::Connected => metrics.gauge("gitgrit_redis_connected", 1.0),
        RedisState::Away => metrics.gauge("gitgrit_redis_connected", 0.0),
    }
    metrics.gauge("gitgrit_git_transfers_running", number(transfers.running()));
    if let Some(bytes) = resident_bytes() {
        metrics.gauge("gitgrit_process_resident_bytes", bytes);
    }
    if let Some(expires) = certificates.as_ref().and_then(|certificates| certificates.expires()) {
        let seconds = expires.seconds() - state.clock.now().seconds();
        metrics.gauge("gitgrit_certificate_days_left", number(seconds) / 86_400.0);
    }
    let clock = *clock_state.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(is_synchronized) = clock.is_synchronized {
        metrics.gauge("gitgrit_clock_synchronized", f64::from(u8::from(is_synchronized)));
    }
    if let Some(offset) = clock.offset {
        metrics.gauge("gitgrit_clock_offset_seconds", offset);
    }
}

/// Resident memory of this process as the kernel counts it (proc(5), `VmRSS`).
fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u32 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(f64::from(kilobytes) * 1024.0)
}

/// A count as a gauge takes it; what does not fit stays at the largest.
fn number<N: TryInto<i32>>(count: N) -> f64 {
    count.try_into().map_or(f64::from(i32::MAX), f64::from)
}
