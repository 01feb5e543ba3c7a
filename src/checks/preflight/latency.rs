//! How long the site's file system takes to make a write durable: what each push and each transaction waits for. Only where it
//! is asked for, in a file of its own that is removed.

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use base::Finding;

use super::{World, mounts};
use crate::catalogue;
use crate::check::Check;
use crate::text::line;

/// How many writes, and for how long at most.
const WRITES: usize = 400;
const TIME: Duration = Duration::from_secs(8);
/// The ninety-ninth hundredth: above the first people feel it, above the second they complain. etcd asks for 10 ms.
const SLOW: Duration = Duration::from_millis(20);
const TOO_SLOW: Duration = Duration::from_millis(100);

pub(super) static CHECKS: [Check<World>; 1] =
    [Check::new(&catalogue::HOST_LATENCY, "latency of the disk", latency).patient(20)];

fn latency(world: &World) -> Vec<Finding> {
    let known = &catalogue::HOST_LATENCY;
    let path = mounts::existing(&world.asked.site);
    let subject = line(&path.display().to_string());
    if !world.asked.with_latency {
        return known.unseen(subject, "not asked for; --latency measures it");
    }
    let mut times = match measured(&path) {
        Ok(times) => times,
        Err(error) => return known.unseen(subject, format!("takes no file: {error}")),
    };
    times.sort_unstable();
    let Some(worst) = times.get(times.len().saturating_sub(1) * 99 / 100).copied() else {
        return known.unseen(subject, "no write ended");
    };
    let message = format!("99 of 100 durable writes took up to {:.1} ms", worst.as_secs_f64() * 1000.0);
    match worst {
        worst if worst > TOO_SLOW => known.fails(subject, message),
        worst if worst > SLOW => known.warns(subject, message),
        _ => known.fine(subject, message),
    }
}

fn measured(directory: &Path) -> std::io::Result<Vec<Duration>> {
    let mut file = tempfile::Builder::new().prefix(".gitgrit-preflight-").tempfile_in(directory)?;
    let begun = Instant::now();
    let mut times = Vec::new();
    for _ in 0..WRITES {
        let start = Instant::now();
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&[0x47; 2300])?;
        file.as_file().sync_data()?;
        times.push(start.elapsed());
        if begun.elapsed() > TIME {
            break;
        }
    }
    Ok(times)
}
